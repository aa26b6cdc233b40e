"""`--model finer1` of lmms-eval: a model run by an engine of this project.

    python -m lmms_eval --model finer1 --model_args model=models/tapo --tasks ...

Whatever the pipeline can ask: a folder of weights, one of LoRA adapters, an entry of the zoo.
Engine, batch size and system prompt are those of the project's params.yaml, and every completion
goes to a generation store, so that a run that was killed continues.
"""

import hashlib
import logging
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lmms_eval.api.instance import GenerationResult, Instance, TokenCounts
from lmms_eval.api.model import lmms
from PIL import Image

from finer1.engines.interface import EngineSettings, Request, Sampling
from finer1.engines.pictures import Pictures
from finer1.engines.store import GenerationStore
from finer1.params import load_params
from finer1.prompts import SYSTEM_PROMPTS
from finer1.zoo.loading import find_asked, load_asked


class AskedByFiner1(lmms):
    """One model; `until` of a task is ignored, since a rationale may hold any text."""

    is_simple = False

    def __init__(
        self,
        model: str,
        project: str = ".",
        home: str = ".",
        store: str = "models/.generations",
        scratch: str = "models/.resume/lmms_eval",
        **others: object,
    ) -> None:
        """model: as in predict.models. project: folder of params.yaml. home: the project's folder
        that an entry's own paths are relative to. store, scratch: folders that are made.

        Raises ValueError for an unknown argument, and as find_asked and load_asked.
        """
        super().__init__()
        # What lmms-eval passes to every model; the machine's settings are in params.yaml.
        unknown = sorted(others.keys() - {"batch_size", "max_batch_size", "device"})
        if unknown:
            raise ValueError(f"--model finer1 takes no {unknown[0]} in --model_args")
        params = load_params(Path(project) / "params.yaml")
        runtime = params.runtime
        settings = EngineSettings(
            model=None,
            labels={},
            device=runtime.device,
            vllm=runtime.vllm,
            home=Path(home),
            scratch=Path(scratch),
        )
        self._engine = load_asked(
            find_asked(Path(str(model)), Path(home)), runtime.engine, settings
        )
        self._store = GenerationStore(Path(store), runtime.batch_size)
        self._system = SYSTEM_PROMPTS[params.prompt.system]
        logging.getLogger(__name__).info("identity: %s", self._engine.identity)

    def generate_until(self, requests: Sequence[Instance]) -> list[GenerationResult]:
        """A completion per request, in order; requests of one length limit go to the engine
        together."""
        places: dict[Sampling, list[int]] = defaultdict(list)
        for place, request in enumerate(requests):
            places[_sampling(request.args[2])].append(place)
        results: dict[int, GenerationResult] = {}
        for sampling, group in places.items():
            asked = [self._request(requests[place]) for place in group]
            made = self._store.generate(self._engine, asked, sampling, progress="lmms-eval")
            for place, (sample, *_) in zip(group, made, strict=True):
                counts = TokenCounts(output_tokens=sample.num_tokens)
                results[place] = GenerationResult(sample.text, counts)
        return [results[place] for place in range(len(requests))]

    def loglikelihood(self, requests: Sequence[Instance]) -> list[tuple[float, bool]]:
        """Not given: the engines of this project write text. Raises ValueError."""
        raise ValueError("--model finer1 answers tasks of the type generate_until alone")

    def generate_until_multi_round(self, requests: Sequence[Instance]) -> list[str]:
        """Not given. Raises ValueError."""
        raise ValueError("--model finer1 answers tasks of one round alone")

    def _request(self, instance: Instance) -> Request:
        _, to_messages, _, place, task, split = instance.args
        row = self.task_dict[task][split][place]
        messages = to_messages(row)
        pictures = _images(messages)

        def read(number: str) -> Image.Image:
            # Decoded anew when the engine takes it: a data set need not fit into memory.
            again = to_messages(self.task_dict[task][split][place])
            return _images(again)[int(number)].convert("RGB")

        return Request(
            user=_text(messages, "user"),
            images=Pictures([str(number) for number in range(len(pictures))], read),
            image_hashes=tuple(_pixel_hash(picture) for picture in pictures),
            system=_text(messages, "system") or self._system,
        )


def _sampling(settings: dict[str, Any]) -> Sampling:
    """Greedy unless the task or --gen_kwargs gives a temperature."""
    return Sampling(
        n=1,
        temperature=float(settings.get("temperature") or 0.0),
        top_p=float(settings.get("top_p") or 1.0),
        max_tokens=int(settings.get("max_new_tokens") or 1024),
    )


def _images(messages: Sequence[dict[str, Any]]) -> list[Image.Image]:
    """The images of all turns. Raises ValueError for video and sound."""
    parts = [part for message in messages for part in message["content"]]
    kinds = {part["type"] for part in parts} - {"text", "image"}
    if kinds:
        raise ValueError(f"--model finer1 sees images alone, and the task has {min(kinds)}")
    return [part["url"] for part in parts if part["type"] == "image"]


def _text(messages: Sequence[dict[str, Any]], role: str) -> str:
    """All text of one role; where images stood between its parts, a line break."""
    parts = [part for message in messages if message["role"] == role for part in message["content"]]
    return "\n".join(part["text"] for part in parts if part["type"] == "text")


def _pixel_hash(picture: Image.Image) -> str:
    """Hex SHA-256 of size and pixels, since lmms-eval hands on no file."""
    picture = picture.convert("RGB")
    return hashlib.sha256(f"{picture.size}".encode() + picture.tobytes()).hexdigest()
