"""Stage `cot`: rationales of the SFT images, the teacher's that pass all filters or released ones.

    python -m tasks.cot

Reads paths.splits, paths.index, paths.images, paths.concepts and, with `cot.source: released`,
paths.released; writes paths.rationales, paths.queue (empty while review.mode is pass) and
paths.cot_yield (per sub-category: images asked and kept, samples, tokens, rejects by reason, what
to do where there is no rationale).
"""

import logging
from collections.abc import Sequence
from statistics import fmean

from finer1.data_params import CotParams
from finer1.engines.interface import Engine, EngineSettings, load_engine
from finer1.engines.store import GenerationStore
from finer1.images import ImageArchive
from finer1.progress import Progress
from finer1.prompts import SECTIONS, sections_text
from finer1.records import (
    ClassKey,
    ImageRecord,
    Rationale,
    SplitRecord,
    read_jsonl,
    write_jsonl,
)
from finer1.reference.release import RATIONALES
from finer1.released.assignment import RELEASED_REASONS, assign_released
from finer1.released.files import check_released
from finer1.released.rationales import released_rationales
from finer1.splits import labels_by_category
from finer1.teacher.asking import CaseOpener, StoredTeacher
from finer1.teacher.filters import REASONS
from finer1.teacher.ladder import advise, rungs
from finer1.teacher.rationales import Outcome, Teacher, collect_rationales, num_wanted
from finer1.teacher.shots import first_shots, free_images, next_image, take_turns
from finer1.teacher.yield_figure import yield_picture
from finer1.teacher.yields import (
    ClassYield,
    add_yields,
    cost,
    group_by_advice,
    write_yields,
    yield_table,
)
from tasks.shards import engine_shards
from tasks.stage import Context, main

_ROWS_SHOWN = 12


def cot(context: Context) -> dict[str, float]:
    """Sample and filter, or join what is released; the metrics hold the yield and the reasons."""
    params, paths = context.params, context.params.paths
    splits = read_jsonl(paths.splits, SplitRecord)
    images = [row.image for row in splits if row.part == "sft"]
    images = first_shots(images, params.cot.per_class, params.seed)
    if params.cot.source == "released":
        reasons: Sequence[str] = RELEASED_REASONS
        outcome, extra = _join_released(context, images, splits)
        num_rungs, seconds = 0, 0.0
    else:
        reasons, num_rungs = REASONS, len(rungs(params.cot))
        outcome, extra, seconds = _ask_teacher(context, images, splits)
    write_jsonl(paths.rationales, outcome.rationales)
    write_jsonl(paths.queue, outcome.queue if params.review.mode != "pass" else [])
    write_yields(paths.cot_yield, outcome.yields, num_rungs, reasons)
    _warn_without(outcome.yields)
    _log_samples(context, outcome)
    _log_yield(context, outcome.yields, seconds)
    return _metrics(context, outcome, num_rungs, reasons) | extra


def _ask_teacher(
    context: Context, images: list[ImageRecord], splits: list[SplitRecord]
) -> tuple[Outcome, dict[str, float], float]:
    """The teacher's rationales, the metrics of cot.total, and the seconds that asking took."""
    params = context.params
    settings = params.cot
    index = read_jsonl(params.paths.index, ImageRecord)
    free = free_images(index, splits, params.seed)
    sft = [row.image for row in splits if row.part == "sft"]
    opener = CaseOpener(params.paths.concepts, params.paths.images, sft, settings.show_concepts)

    labels = labels_by_category(splits)
    engine = _load_teacher(context, labels)
    store = GenerationStore(context.store, params.runtime.batch_size)
    teacher = StoredTeacher(engine, store, settings, context.log)
    order = images if settings.total is None else take_turns(images, params.seed)
    outcome = collect_rationales(
        order,
        opener.open,
        lambda image, used: next_image(free, image.class_key, used),
        Teacher(teacher.ask, lambda: teacher.num_made, engine.identity, labels),
        settings,
        params.seed,
        Progress("rationales", num_wanted(len(order), settings), "images", is_live=context.is_live),
    )
    _advise(outcome, images, free, settings)
    lacking = max((settings.total or 0) - len(outcome.rationales), 0)
    if lacking:
        logging.getLogger(__name__).warning(
            "cot.total: %d of %d rationales, since no image of part sft is left to be asked about; "
            "raise split.sft_shots or cot.max_attempts",
            len(outcome.rationales),
            settings.total,
        )
    extra: dict[str, float] = {"cot/lacking": lacking}
    if not settings.filter:
        extra |= {"cot/faulty": outcome.faults.total()}
        extra |= {f"cot/faulty_{reason}": outcome.faults[reason] for reason in REASONS}
    return outcome, extra, teacher.seconds


def _load_teacher(context: Context, labels: dict[str, tuple[str, ...]]) -> Engine:
    runtime, name = context.params.runtime, context.params.cot.engine
    return load_engine(
        name,
        EngineSettings(
            model=None,
            labels=labels,
            device=runtime.device,
            server=context.server,
            api_key=context.api_key,
            teacher=runtime.teacher,
            home=context.home,
            shards=engine_shards(runtime, name, runtime.teacher.tensor_parallel),
        ),
    )


def _advise(
    outcome: Outcome,
    images: list[ImageRecord],
    free: dict[ClassKey, list[ImageRecord]],
    settings: CotParams,
) -> None:
    """Give every seen sub-category its line of the yield, and its advice."""
    for key in sorted({image.class_key for image in images}):
        tally = outcome.yields.setdefault(key, ClassYield())  # cot.total may stop before a class
        has_other = next_image(free, key, outcome.asked) is not None
        tally.advice = advise(tally, settings, has_other)


def _join_released(
    context: Context, images: list[ImageRecord], splits: list[SplitRecord]
) -> tuple[Outcome, dict[str, float]]:
    """The released rationales of the images, and the metrics of what did not join."""
    if context.params.cot.total is not None:
        raise ValueError(
            "cot.total counts what the teacher writes; set it to null with cot.source: released"
        )
    folder = context.home / context.params.paths.released
    check_released(folder, [RATIONALES])
    released = released_rationales(folder, [item.image for item in splits])
    outcome = assign_released(images, released)
    if not outcome.rationales:
        raise ValueError(
            f"cot.source: none of the {len(images)} images of part sft has a released rationale, "
            f"{len(released.rationales)} other images have one; set split.sft_images to released, "
            "or cot.source to teacher"
        )
    for tally in outcome.yields.values():
        tally.advice = "" if tally.kept else "set split.sft_images to released, or ask a teacher"
    log = logging.getLogger(__name__)
    for sentence in released.sentences():
        log.warning("%s", sentence)
    return outcome, {
        "cot/released_unjoined": len(released.unjoined),
        "cot/released_ambiguous": len(released.ambiguous),
        "cot/released_mislabelled": len(released.mislabelled),
        "cot/released_not_sft": len(released.rationales) - len(outcome.rationales),
        **{f"cot/released_without_{name}": released.missing[name] for name in SECTIONS},
    }


def _warn_without(yields: dict[ClassKey, ClassYield]) -> None:
    """A line for each thing to do, with the sub-categories that want it."""
    for advice, labels in group_by_advice(yields).items():
        logging.getLogger(__name__).warning(
            "%d of %d seen sub-categories have no rationale: %s; %s",
            len(labels),
            len(yields),
            ", ".join(labels),
            advice,
        )


def _log_samples(context: Context, outcome: Outcome) -> None:
    archive = ImageArchive(context.params.paths.images)
    context.log_table(
        "rationales",
        [
            {
                "image": archive.read(row.image_id),
                "label": row.label,
                "attempts": row.attempts,
                "rationale": _text(row),
            }
            for row in outcome.rationales[:_ROWS_SHOWN]
        ],
    )
    context.log_table(
        "rejects",
        [
            {"image": archive.read(row.image_id), "reason": row.reason, "text": row.text}
            for row in outcome.rejects[:_ROWS_SHOWN]
        ],
    )


def _log_yield(context: Context, yields: dict[ClassKey, ClassYield], seconds: float) -> None:
    price = context.params.cot.price_per_million_tokens
    context.log_table("yield", yield_table(yields, seconds, price))
    context.log_image("yield", yield_picture(yields), 0)
    context.log_file(context.params.paths.cot_yield)


def _text(row: Rationale) -> str:
    """What is learnt, less the answer where it stands apart."""
    sections = sections_text(row.analysis, row.options, row.comparison, row.prediction)
    return sections if row.completion is None else row.completion


def _metrics(
    context: Context, outcome: Outcome, num_rungs: int, reasons: Sequence[str]
) -> dict[str, float]:
    total = add_yields(outcome.yields.values())
    words = [_num_words(row) for row in outcome.rationales]
    price = cost(total.tokens, context.params.cot.price_per_million_tokens)
    return {
        "cot/asked": total.asked,
        "cot/kept": total.kept,
        "cot/queued": total.queued,
        "cot/samples": total.samples,
        "cot/tokens": total.tokens,
        "cot/cut": total.cut,
        **({} if price is None else {"cot/cost": price}),
        "cot/yield": total.kept / total.asked if total.asked else 0.0,
        "cot/acceptance": total.kept / total.samples if total.samples else 0.0,
        "cot/classes": len(outcome.yields),
        "cot/classes_without": sum(not tally.kept for tally in outcome.yields.values()),
        "cot/words_mean": fmean(words) if words else 0.0,
        **{f"cot/rung_{rung}": total.rungs[rung] for rung in range(1, num_rungs + 1)},
        **{f"cot/rejected_{reason}": total.rejected[reason] for reason in reasons},
    }


def _num_words(row: Rationale) -> int:
    """Words of the rationale, as it was written."""
    if row.completion is not None:
        return len(row.completion.partition("</think>")[0].split())
    return len(f"{row.analysis} {' '.join(row.options)} {row.comparison} {row.prediction}".split())


if __name__ == "__main__":
    main("cot", cot)
