"""What every engine takes and gives: messages with images in, samples out.

An engine module `finer1/engines/<name>.py` has

    load(settings: EngineSettings) -> Engine

and is named in params.yaml as `<name>`, or `<name>:<model>` where it can run several models.
"""

import importlib
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol, TypeVar, runtime_checkable

from PIL import Image

from finer1.model_params import TeacherParams, VllmParams

Item = TypeVar("Item")

_ASKING_A_SERVER = ("openai", "vllm_server")
"""Engines that hold no model: the server batches, and several of it stand behind one address."""


@dataclass(frozen=True)
class Request:
    """One prompt: an optional system text, one user text, the images it is about."""

    user: str
    images: Sequence[Image.Image] = ()
    """RGB, placed before the text in the order given; of many requests, Pictures, which hold
    none."""
    image_hashes: tuple[str, ...] = ()
    """SHA-256 of each image file, for the generation store; as long as `images`."""
    system: str = ""
    seed: int = 0


@dataclass(frozen=True)
class Sampling:
    """How completions are drawn; temperature 0 is greedy."""

    n: int
    temperature: float
    top_p: float
    max_tokens: int


@dataclass(frozen=True)
class Sample:
    """One completion, special tokens removed."""

    text: str
    num_tokens: int
    """Generated ones; 0 where a server does not say."""
    finish_reason: Literal["stop", "length"]
    """length: cut off by Sampling.max_tokens, or by a server for a reason of its own."""


@dataclass(frozen=True)
class Shards:
    """An engine several times over (finer1/engines/shards.py)."""

    number: int
    """Processes, each with an engine of its own."""
    gpus: int
    """That each of them takes, where there are any."""
    address: str | None
    """Of a Ray cluster; None starts one for the stage."""
    variables: Mapping[str, str]
    """Environment of the processes, beside the cluster's own."""
    folder: Path
    """Where they work: what relative paths of the settings are relative to."""


@dataclass(frozen=True)
class EngineSettings:
    """What an engine may need to start; each takes what it uses."""

    model: Path | None
    """Folder of one of the project's own models, for engines that run one."""
    labels: dict[str, tuple[str, ...]]
    """Category -> all its sub-categories in this run, sorted."""
    device: str
    """cpu, cuda or auto."""
    server: str | None = None
    """Address of an OpenAI-compatible server, up to and with /v1."""
    api_key: str | None = field(default=None, repr=False)
    """What the server wants as bearer token."""
    vllm: VllmParams | None = None
    """Memory of vLLM in this process."""
    teacher: TeacherParams | None = None
    """How a teacher is run that is a model; None where the project's own models are run."""
    adapter: Path | None = None
    """Folder of LoRA adapters to be merged into the model; without a model they name their own."""
    max_images: int = 1
    """Images of a request at most, for engines that make room for them beforehand."""
    home: Path = Path()
    """The project's folder; a teacher's folder lies relative to it."""
    vllm_server: str | None = None
    """Address of a vLLM server that takes our weights, up to and with /v1."""
    scratch: Path | None = None
    """Folder for weights on their way to it."""
    shards: Shards | None = None
    """None runs the engine in this process; one that asks a server does so in any case."""
    named_model: str | None = None
    """What follows the colon of the engine's name, which is where load_engine takes it from: a
    name known to the server, a folder, or `<hub id>@<commit>`."""


class Engine(Protocol):
    """A generator of text."""

    identity: str
    """Names everything that shapes its output besides request and sampling; keys the store."""
    pads: bool
    """The requests of a call are brought to one length and share random numbers, so that the
    samples of one depend on the others: in rounding, and at temperature > 0 altogether."""

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[list[Sample]]:
        """`sampling.n` samples for each request, in order."""
        ...


@runtime_checkable
class StreamingEngine(Engine, Protocol):
    """An engine that works on many requests at once and gives each answer when it is ready."""

    def stream(
        self, requests: Sequence[Request], sampling: Sampling
    ) -> Iterator[tuple[int, list[Sample]]]:
        """The place of each request, once, with its `sampling.n` samples, in any order."""
        ...


@runtime_checkable
class BatchedEngine(Engine, Protocol):
    """An engine that works on several batches at once and gives each when it is ready."""

    def stream_batches(
        self, batches: Sequence[Sequence[Request]], sampling: Sampling
    ) -> Iterator[tuple[int, list[list[Sample]]]]:
        """The place of each batch, once, with its samples, in any order."""
        ...


@runtime_checkable
class WritingEngine(Engine, Protocol):
    """An engine that gives a completion piece by piece, as it is written."""

    def write(
        self, request: Request, sampling: Sampling
    ) -> Generator[str, None, Literal["stop", "length"]]:
        """The pieces of the first sample of `generate([request], sampling)`; greedy alone.

        Returns why it ended.
        """
        ...


def in_order(items: Iterable[tuple[int, Item]]) -> list[Item]:
    """The items by their places 0, 1, ..."""
    return [item for _, item in sorted(items, key=lambda pair: pair[0])]


def check_no_model(engine: str, settings: EngineSettings) -> None:
    """Raise ValueError when something follows the colon of an engine that runs no model."""
    if settings.named_model is not None:
        raise ValueError(
            f"the engine `{engine}` runs no model; write {engine} instead of "
            f"{engine}:{settings.named_model}"
        )


def load_engine(name: str, settings: EngineSettings) -> Engine:
    """Start the engine `<module of finer1.engines>` or `<module>:<model>`.

    Raises ValueError when there is no such engine, and as its `load`.
    """
    kind, _, model = name.partition(":")
    if settings.shards is not None and kind not in _ASKING_A_SERVER:
        from finer1.engines.shards import ShardedEngine

        return ShardedEngine(name, settings, settings.shards)
    module = f"finer1.engines.{kind}"
    unknown = f"engine {name!r}: there is no finer1/engines/{kind}.py with a function `load`"
    try:
        load = getattr(importlib.import_module(module), "load", None)
    except ModuleNotFoundError as error:
        if not module.startswith(str(error.name)):
            raise  # the engine is there, and a package that it imports is not
        raise ValueError(unknown) from error
    if load is None:
        raise ValueError(unknown)
    engine: Engine = load(replace(settings, named_model=model or None))
    return engine
