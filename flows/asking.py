"""`finer1 ask`: a question set of the user's own, put to any model and scored."""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finer1.params import Params, load_params

if TYPE_CHECKING:
    from PIL import Image

    from finer1.engines.interface import Engine
    from finer1.evaluation_params import Strategy
    from finer1.question_sets.interface import QuestionSet, SetQuestion
    from finer1.records import Prediction
    from finer1.zoo.loading import AskedModel

_QUIET = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
}
"""What libraries read while they are imported, so that they ask nothing of any other machine."""
_SHOWN = {
    "n": "questions",
    "accuracy": "exact",
    "inclusion": "inclusion",
    "semantic_similarity": "similarity",
    "caption_similarity": "caption similarity",
    "format_rate": "format",
    "hedge_rate": "hedge",
    "completion_tokens_mean": "tokens",
}
"""Number of a kind of question -> what it is called on the terminal."""


@dataclass(frozen=True)
class AskRequest:
    """What is asked, of which model."""

    source: Path
    """A table of questions, or a folder of images by class."""
    model: Path
    """As of predict.models."""
    strategy: "Strategy | None"
    """None takes predict.strategy."""
    output: Path | None
    limit: int | None
    category: str
    fields: tuple[str, ...]
    outside: bool
    encoder: str | None
    """None takes score.encoder."""


def ask_set(request: AskRequest, here: Path) -> dict[str, Any]:
    """Ask, write the completions and their scores, print the scores; returns what was written.

    Completions are kept in the store as they come: the same command goes on after a kill. Files
    are written whole at the end. Raises ValueError, before any model is loaded, for every bad row
    and image at once.
    """
    params = load_params(here / "params.yaml")
    os.environ.update({key: os.environ.get(key, value) for key, value in _QUIET.items()})
    if params.runtime.threads:
        os.environ["OMP_NUM_THREADS"] = str(params.runtime.threads)
    from finer1.evaluation.similarity import load_similarity
    from finer1.evaluation.statistics import Bootstrap
    from finer1.question_sets.asking import Answered, shuffled
    from finer1.question_sets.output import facts, write_answers
    from finer1.question_sets.pictures import check_pictures
    from finer1.question_sets.scores import score_set
    from finer1.zoo.loading import find_asked

    model = find_asked(request.model, here)
    asked = _read(request, params.seed)
    output = request.output or Path(f"{asked.name}.{request.model.stem}.jsonl")
    _check_output(request, output)
    questions = _answerable(shuffled(asked.questions, params.seed), model)
    work = _Work(request, params, here, model, questions, check_pictures(asked), asked.read_bytes)
    settings, device = params.score, params.runtime.device
    similarity = load_similarity(request.encoder or settings.encoder, here, device)
    predictions = _choose(work) if model.kind == "clip" else _ask(work)
    answered = [Answered(*pair) for pair in zip(questions, predictions, strict=True)]
    bootstrap = Bootstrap(settings.bootstrap_samples, settings.confidence, params.seed)
    scores = score_set(answered, similarity, bootstrap)
    known = facts(request.source, str(request.model), answered[0].prediction)
    result = {**known, "encoder": similarity.name, **scores}
    for written in write_answers(output, answered, result):
        print(f"written   {written}")
    _print(scores, similarity.name)
    return result


@dataclass(frozen=True)
class _Work:
    """What is asked of which model, checked."""

    request: AskRequest
    params: Params
    here: Path
    model: "AskedModel"
    questions: "Sequence[SetQuestion]"
    hashes: Mapping[str, str]
    """SHA-256 of the image files by name."""
    read_bytes: Callable[[str], bytes]

    @property
    def name(self) -> str:
        return self.request.model.stem

    @property
    def store(self) -> Path:
        return Path(os.environ.get("FINER1_STORE", self.here / "models/.generations"))

    def read(self, image: str) -> "Image.Image":
        from finer1.images import decode_image

        return decode_image(self.read_bytes(image), image)


def _read(request: AskRequest, seed: int) -> "QuestionSet":
    """The questions that are asked, after the limit. Raises ValueError for what is no set."""
    from finer1.question_sets.class_folders import read_class_folders
    from finer1.question_sets.fields import parse_fields
    from finer1.question_sets.tables import SUFFIXES, read_table

    source, fields = request.source, parse_fields(request.fields)
    if source.is_dir():
        if fields:
            raise ValueError(f"--field is for tables, but {source} is a folder; leave it out")
        found = read_class_folders(source, request.category, request.outside, seed)
    elif source.is_file() and source.suffix.lower() in SUFFIXES:
        found = read_table(source, fields, request.category, request.outside)
    else:
        raise ValueError(
            f"{source} is neither a folder of images by class nor a table of questions "
            f"({', '.join(SUFFIXES)})"
        )
    for note in found.notes:
        print(f"set       {note}")
    asked = found.limited(request.limit, seed)
    if len(asked.questions) < len(found.questions):
        print(f"limit     {len(asked.questions)} of {len(found.questions)} questions, by seed")
    return asked


def _check_output(request: AskRequest, output: Path) -> None:
    """Raise ValueError when the output cannot be what it is, or would replace the set."""
    if output.suffix != ".jsonl":
        raise ValueError(f"--out {output}: name a file that ends in .jsonl")
    if output.exists() and (not output.is_file() or output.samefile(request.source)):
        raise ValueError(f"--out {output} is the set itself or no file; name another one")


def _answerable(questions: "Sequence[SetQuestion]", model: "AskedModel") -> "list[SetQuestion]":
    """The questions that the model can be asked: of a CLIP model, those with options."""
    if model.kind != "clip":
        return [*questions]
    closed = [item for item in questions if item.kind == "closed"]
    if not closed:
        raise ValueError(
            f"{model.path} is a CLIP model, which chooses among options, and no question has any; "
            "ask a model that writes"
        )
    if len(closed) < len(questions):
        print(f"left out  {len(questions) - len(closed)} questions without options (CLIP)")
    return closed


def _ask(work: _Work) -> "list[Prediction]":
    """A prediction per question, in order, of a model that writes."""
    from finer1.engines.interface import Sampling
    from finer1.engines.store import GenerationStore
    from finer1.evaluation.asking import Shown, ask_model
    from finer1.prompts import SYSTEM_PROMPTS
    from finer1.question_sets.asking import ask_questions

    params, settings = work.params, work.params.predict
    system = SYSTEM_PROMPTS[params.prompt.system]
    strategy = work.request.strategy or settings.strategy
    ways = ask_questions(work.questions, strategy, system, work.model)
    scratch = Path(os.environ.get("FINER1_RESUME", work.here / "models/.resume")) / "ask"
    try:
        engine = _start(work, max(len(way.images) for way in ways.values()), scratch)
        print(f"model     {engine.identity}", flush=True)
        return ask_model(
            work.name,
            engine,
            ways,
            Shown(work.hashes, work.read),
            Sampling(1, settings.temperature, settings.top_p, settings.max_tokens),
            GenerationStore(work.store, params.runtime.batch_size),
            params.seed,
        )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _start(work: _Work, max_images: int, scratch: Path) -> "Engine":
    """The engine of runtime.engine with the model, or `openai` for one behind a server."""
    from finer1.engines.interface import EngineSettings
    from finer1.zoo.loading import load_asked

    runtime, model = work.params.runtime, work.model
    settings = EngineSettings(
        model=model.path,
        labels={},
        device=runtime.device,
        server=os.environ.get("FINER1_EVAL_SERVER"),
        api_key=os.environ.get("FINER1_EVAL_KEY"),
        vllm=runtime.vllm,
        teacher=runtime.teacher if model.kind == "server" else None,
        max_images=max_images,
        home=work.here,
        vllm_server=os.environ.get("FINER1_VLLM_SERVER"),
        scratch=scratch,
    )
    return load_asked(model, runtime.engine, settings)


def _choose(work: _Work) -> "list[Prediction]":
    """A prediction per question, in order, of a CLIP model."""
    from finer1.embeddings import EmbeddingStore
    from finer1.encoders.open_clip import load_open_clip
    from finer1.evaluation.clip_templates import clip_templates
    from finer1.question_sets.asking import choose_closed
    from finer1.zoo.entry import ClipTemplates

    entry = work.model.entry
    assert entry is not None
    named = entry.prompts.templates if isinstance(entry.prompts, ClipTemplates) else "one"
    encoder = load_open_clip(entry.model, work.here, work.params.runtime.device)
    store = EmbeddingStore(work.store / "embeddings")
    return choose_closed(
        work.name,
        work.questions,
        work.hashes,
        encoder,
        lambda tower, images: store.embed(tower, images, work.read, f"ask {work.name}"),
        clip_templates(named),
    )


def _print(scores: Mapping[str, Mapping[str, Any]], encoder: str) -> None:
    for kind, numbers in scores.items():
        parts = [
            f"{word} {_figure(key, numbers[key])}" for key, word in _SHOWN.items() if key in numbers
        ]
        print(f"{kind:<10}{', '.join(parts)}")
    if scores.keys() != {"closed"}:
        print(f"similarity by {encoder}; shares and similarities in %")


def _figure(key: str, value: float) -> str:
    if key in ("n", "completion_tokens_mean"):
        return f"{value:.0f}"
    return f"{100 * value:.1f}"
