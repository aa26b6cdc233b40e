"""`finer1 ask`: a question set of the user's own, put to any model and scored."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finer1.inspection.findings import shown
from finer1.params import Params, load_params
from flows.scratch import scratch_folder

if TYPE_CHECKING:
    from PIL import Image

    from finer1.evaluation.asking import Shown
    from finer1.evaluation.strategies import Asked
    from finer1.evaluation_params import Strategy
    from finer1.question_sets.interface import QuestionSet, SetQuestion
    from finer1.records import Prediction
    from finer1.zoo.loading import AskedModel
    from tasks.stage import Context

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
    from tasks.stage import settle_libraries

    settle_libraries(params.runtime.threads, is_online=False)
    from finer1.evaluation.similarity import load_similarity
    from finer1.evaluation.statistics import Bootstrap
    from finer1.question_sets.asking import Answered, shuffled
    from finer1.question_sets.output import facts, write_answers
    from finer1.question_sets.scores import score_set
    from finer1.zoo.loading import find_asked

    model = find_asked(request.model, here)
    found = _read(request, params.seed)
    questions = _answerable(shuffled(found.questions, params.seed), model)
    work = _plan(request, params, found.name, model, questions)
    _check_output(request, work.output)
    shown = _shown(found)
    settings, device = params.score, params.runtime.device
    similarity = load_similarity(request.encoder or settings.encoder, here, device)
    with _context(params, here) as context:
        predictions = (_choose if model.kind == "clip" else _write)(context, work, shown)
    answered = [Answered(*pair) for pair in zip(questions, predictions, strict=True)]
    bootstrap = Bootstrap(settings.bootstrap_samples, settings.confidence, params.seed)
    scores = score_set(answered, similarity, bootstrap)
    known = facts(request.source, str(request.model), answered[0].prediction)
    result = {**known, "encoder": similarity.name, **scores}
    for written in write_answers(work.output, answered, result):
        print(f"written   {written}")
    _print(scores, similarity.name)
    return result


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
        print(f"set       {shown(note)}")
    asked = found.limited(request.limit, seed)
    if len(asked.questions) < len(found.questions):
        print(f"limit     {len(asked.questions)} of {len(found.questions)} questions, by seed")
    return asked


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


@dataclass(frozen=True)
class _Work:
    """What is asked of which model, checked."""

    name: str
    """Of the model."""
    model: "AskedModel"
    questions: "Sequence[SetQuestion]"
    ways: "Mapping[str, Asked]"
    """How each is asked, by id; of a CLIP model none."""
    output: Path
    is_named: bool
    """The user named the output, and so means to replace what is there."""


def _plan(
    request: AskRequest,
    params: Params,
    set_name: str,
    model: "AskedModel",
    questions: "Sequence[SetQuestion]",
) -> _Work:
    """How everything is asked. Raises ValueError for a strategy that does not fit set and model."""
    from finer1.evaluation.clip import STRATEGY
    from finer1.prompts import SYSTEM_PROMPTS
    from finer1.question_sets.asking import ask_questions

    # A folder's name may hold dots: Qwen2.5-VL-3B.
    folder = Path(os.path.abspath(request.model))
    name = folder.stem if folder.suffix in (".yaml", ".yml") else folder.name
    strategy = request.strategy or params.predict.strategy
    ways: Mapping[str, Asked] = {}
    if model.kind != "clip":
        ways = ask_questions(questions, strategy, SYSTEM_PROMPTS[params.prompt.system], model)
    asked_by = STRATEGY if model.kind == "clip" else strategy
    output = request.output or Path(f"{set_name}.{name}.{asked_by}.jsonl")
    return _Work(name, model, questions, ways, output, request.output is not None)


def _check_output(request: AskRequest, output: Path) -> None:
    """Raise ValueError when the output cannot be what it is, or would replace the set."""
    if output.suffix != ".jsonl":
        raise ValueError(f"--out {output}: name a file that ends in .jsonl")
    if output.exists() and (not output.is_file() or output.samefile(request.source)):
        raise ValueError(f"--out {output} is the set itself or no file; name another one")


def _check_replaced(work: _Work, identity: str, strategy: str) -> None:
    """Raise ValueError when an output that nobody named holds another model's answers."""
    if work.is_named or not work.output.exists():
        return
    try:
        with work.output.open(encoding="utf-8") as lines:
            row = json.loads(next(lines, ""))
    except ValueError:
        row = None
    there = row if isinstance(row, dict) else {}
    if (there.get("identity"), there.get("strategy")) != (identity, strategy):
        raise ValueError(
            f"{work.output} is there and holds no answers of {identity} asked by {strategy}; "
            "remove it, or name the output with --out"
        )


def _shown(found: "QuestionSet") -> "Shown":
    """The images of the set, each of which could be decoded."""
    from finer1.evaluation.asking import Shown
    from finer1.images import decode_image
    from finer1.question_sets.pictures import check_pictures

    def read(image: str) -> "Image.Image":
        return decode_image(found.read_bytes(image), image)

    return Shown(check_pictures(found), read)


def _write(context: "Context", work: _Work, shown: "Shown") -> "list[Prediction]":
    """A prediction per question, in order, of a model that writes."""
    from tasks.asking import predictions, start_engine

    engine = start_engine(context, work.model, work.ways)
    print(f"model     {engine.identity}", flush=True)
    _check_replaced(work, engine.identity, next(iter(work.ways.values())).strategy)
    return predictions(context, work.name, engine, work.ways, shown, max_tokens=None)


def _choose(context: "Context", work: _Work, shown: "Shown") -> "list[Prediction]":
    """A prediction per question, in order, of a CLIP model."""
    from finer1.evaluation.strategies import Examples
    from finer1.question_sets.asking import as_question, image_records
    from tasks.asking import Material
    from tasks.baseline import clip_predictions

    material = Material(
        [as_question(item) for item in work.questions],
        image_records(work.questions, shown.sha256),
        Examples((), 0, context.params.seed),
        shown,
    )
    rows = clip_predictions(context, work.name, work.model, material)
    _check_replaced(work, rows[0].identity, rows[0].strategy)
    return rows


@contextmanager
def _context(params: Params, here: Path) -> "Iterator[Context]":
    """What a stage that asks is given, with nothing tracked."""
    from tasks.stage import Context

    environ = os.environ
    resume_root = Path(environ.get("FINER1_RESUME", here / "models/.resume"))
    with scratch_folder(resume_root) as scratch:
        yield Context(
            params=params,
            stage="ask",
            resume=scratch,
            store=Path(environ.get("FINER1_STORE", here / "models/.generations")),
            data_root=None,
            home=here,
            server=None,
            api_key=None,
            eval_server=environ.get("FINER1_EVAL_SERVER"),
            eval_key=environ.get("FINER1_EVAL_KEY"),
            vllm_server=environ.get("FINER1_VLLM_SERVER"),
            log=_untracked,
            log_table=_untracked,
            log_image=_untracked,
            log_file=_untracked,
            log_model=_untracked,
            is_live=False,
        )


def _untracked(*_: object) -> None:
    """Nothing: the command has no run."""


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
