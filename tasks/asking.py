"""What the stages that ask models share: questions and images in, a started engine, rows out."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from finer1.draws import draw
from finer1.engines.interface import Engine, EngineSettings, Sampling, load_engine
from finer1.engines.store import GenerationStore
from finer1.evaluation.answers import normalise
from finer1.evaluation.asking import Shown, add_votes, ask_model, choose_images
from finer1.evaluation.reading import read_completion
from finer1.evaluation.strategies import Asked, Examples, ask
from finer1.evaluation_params import Strategy
from finer1.images import ImageArchive
from finer1.prompts import SYSTEM_PROMPTS
from finer1.records import ImageRecord, Prediction, Question, SplitRecord, read_jsonl
from finer1.zoo.loading import AskedModel, check_strategy, load_asked
from tasks.shards import engine_shards
from tasks.stage import Context

SAMPLES_SHOWN = 12
"""Answers in the table `samples`."""
MANY_CUT_OFF = 0.05
"""Share of completions that are cut off from which on a stage says so."""


@dataclass(frozen=True)
class Material:
    """What a run asks about."""

    questions: list[Question]
    images: dict[str, ImageRecord]
    """By id: those of all parts."""
    examples: Examples
    shown: Shown
    """The images as they are."""


def load_material(context: Context) -> Material:
    """The questions of the run, and its images, none of them decoded yet."""
    paths = context.params.paths
    questions = read_jsonl(paths.questions, Question)
    splits = read_jsonl(paths.splits, SplitRecord)
    images = {row.image.id: row.image for row in splits}
    num_options = max((len(question.options) for question in questions), default=0)
    return Material(
        questions,
        images,
        Examples(splits, num_options, context.params.seed),
        Shown(
            {key: image.sha256 for key, image in images.items()}, ImageArchive(paths.images).read
        ),
    )


def ask_all(
    context: Context,
    material: Material,
    questions: Sequence[Question],
    strategy: Strategy,
    model: AskedModel | None,
) -> dict[str, Asked]:
    """How each question is asked, by its id; model: None for one of the run's own.

    Raises ValueError as check_strategy.
    """
    if model is not None:
        check_strategy(model, strategy)
    system = SYSTEM_PROMPTS[context.params.prompt.system]
    own = model.prompts if model else None
    own_answer = model.answer_from if model else "tags"
    return {
        question.id: ask(question, strategy, system, own, own_answer, material.examples)
        for question in questions
    }


def start_engine(context: Context, model: AskedModel, asked: Mapping[str, Asked]) -> Engine:
    """The engine of runtime.engine with the model, or `openai` for one behind a server.

    Raises as load_asked; where the path is one of the run's own models any engine takes it.
    """
    params, paths = context.params, context.params.paths
    settings = EngineSettings(
        model=model.path,
        labels={},
        device=params.runtime.device,
        server=context.eval_server,
        api_key=context.eval_key,
        vllm=params.runtime.vllm,
        teacher=params.runtime.teacher if model.kind == "server" else None,
        max_images=max((len(item.images) for item in asked.values()), default=1),
        home=context.home,
        vllm_server=context.vllm_server,
        scratch=context.resume,
        shards=engine_shards(
            params.runtime, params.runtime.engine, params.runtime.vllm.tensor_parallel
        ),
    )
    if model.path in (paths.base, paths.sft, paths.tapo):
        return load_engine(params.runtime.engine, settings)
    return load_asked(model, params.runtime.engine, settings)


def predictions(
    context: Context,
    name: str,
    engine: Engine,
    asked: Mapping[str, Asked],
    shown: Shown,
    max_tokens: int | None,
) -> list[Prediction]:
    """A row per question, generated as the section `predict` says, or taken from the store.

    max_tokens: longest completion; None takes predict.max_tokens.
    """
    settings = context.params.predict
    longest = max_tokens or settings.max_tokens
    sampling = Sampling(1, settings.temperature, settings.top_p, longest)
    with _timed_store(context, 0) as store:
        rows = ask_model(name, engine, asked, shown, sampling, store, context.params.seed)
    cut_off = sum(row.finish_reason == "length" for row in rows)
    if cut_off > MANY_CUT_OFF * len(rows):
        logging.getLogger(__name__).warning(
            "%s: %d of %d completions were cut off after %d tokens; raise max_tokens",
            *(context.stage, cut_off, len(rows), longest),
        )
    return rows


def with_votes(
    context: Context,
    rows: list[Prediction],
    engine: Engine,
    asked: Mapping[str, Asked],
    material: Material,
) -> list[Prediction]:
    """The rows, those of some images with the drawn completions that predict.votes asks for."""
    settings, seed = context.params.predict, context.params.seed
    chosen = choose_images(material.questions, settings.votes.images_per_class, seed, "voted image")
    voted = {item.id: asked[item.id] for item in material.questions if item.image_id in chosen}
    sampling = Sampling(
        settings.votes.samples, settings.votes.temperature, settings.top_p, settings.max_tokens
    )
    with _timed_store(context, 1) as store:
        return add_votes(rows, engine, voted, material.shown, sampling, store, seed)


def log_samples(context: Context, rows: Sequence[Prediction], material: Material) -> None:
    """Log some open questions, or closed ones without, with image and answer.

    The same questions for every model of a run, so that MLflow shows the answers side by side.
    """
    asked = {item.id: item for item in material.questions}
    known = [row for row in rows if row.question_id in asked]
    is_open = any(asked[row.question_id].setting == "open" for row in known)
    shown = [row for row in known if (asked[row.question_id].setting == "open") == is_open]
    shown.sort(key=lambda row: draw(context.params.seed, "shown sample", row.question_id))
    table = []
    for row in shown[:SAMPLES_SHOWN]:
        item = asked[row.question_id]
        answer = read_completion(row.completion, row.answer_from).answer
        table.append(
            {
                "question_id": item.id,
                "image": material.shown.read(item.image_id),
                "question": item.text,
                "label": item.label,
                "answer": answer or "",
                "is_correct": answer is not None and normalise(answer) == normalise(item.label),
                "completion": row.completion,
            }
        )
    context.log_table("samples", table)


def metrics_of(rows: Sequence[Prediction]) -> dict[str, float]:
    """Number and mean length of the completions, and how many were cut off."""
    return {
        "predict/questions": len(rows),
        "predict/completion_tokens_mean": sum(row.num_tokens for row in rows) / max(len(rows), 1),
        "predict/cut_off": sum(row.finish_reason == "length" for row in rows),
    }


@contextmanager
def _timed_store(context: Context, step: int) -> Iterator[GenerationStore]:
    """The store; how fast it was filled is logged, for it belongs in no tracked file."""
    store = GenerationStore(context.store, context.params.runtime.batch_size, context.is_live)
    start = time.monotonic()
    yield store
    if store.num_made:
        seconds = max(time.monotonic() - start, 1e-9)
        context.log(
            {
                "speed/seconds": seconds,
                "speed/samples_per_s": store.num_made / seconds,
                "speed/tokens_per_s": store.tokens_made / seconds,
            },
            step,
        )
