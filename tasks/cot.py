"""Stage `cot`: rationales of the SFT images, the teacher's that pass all filters or released ones.

    python -m tasks.cot

Reads paths.splits, paths.images, paths.concepts and, with `cot.source: released`, paths.released;
writes paths.rationales and paths.cot_yield (per sub-category: images asked and kept, samples,
rejects by reason).
"""

import csv
import io
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from finer1.engines.interface import EngineSettings, Request, Sample, Sampling, load_engine
from finer1.engines.store import GenerationStore
from finer1.files import write_atomic
from finer1.images import ImageArchive
from finer1.prompts import SECTIONS, sections_text
from finer1.records import Concepts, Rationale, SplitRecord, read_jsonl, write_jsonl
from finer1.reference.release import RATIONALES
from finer1.released.assignment import RELEASED_REASONS, assign_released
from finer1.released.files import check_released
from finer1.released.rationales import released_rationales
from finer1.splits import labels_by_category
from finer1.teacher.captions import ClassKey
from finer1.teacher.filters import REASONS
from finer1.teacher.rationales import Case, ClassYield, Outcome, collect_rationales
from tasks.stage import Context, main

_ROWS_SHOWN = 12


def cot(context: Context) -> dict[str, float]:
    """Sample and filter, or join what is released; the metrics hold the yield and the reasons."""
    paths = context.params.paths
    splits = read_jsonl(paths.splits, SplitRecord)
    cases = _cases(context, splits)
    if context.params.cot.source == "released":
        reasons: Sequence[str] = RELEASED_REASONS
        outcome, extra = _join_released(context, cases, splits)
    else:
        reasons = REASONS
        outcome, extra = _ask_teacher(context, cases, splits), {}
    write_jsonl(paths.rationales, outcome.rationales)
    write_yield(paths.cot_yield, outcome.yields, reasons)
    without = [label for (_, label), count in outcome.yields.items() if not count.kept]
    if without:
        logging.getLogger(__name__).warning(
            "%d of %d seen sub-categories have no rationale: %s",
            len(without),
            len(outcome.yields),
            ", ".join(without),
        )
    _log_samples(context, cases, outcome)
    return _metrics(outcome, len(without), reasons) | extra


def _ask_teacher(context: Context, cases: list[Case], splits: list[SplitRecord]) -> Outcome:
    params = context.params
    settings = params.cot
    labels = labels_by_category(splits)
    engine = load_engine(
        settings.engine,
        EngineSettings(
            model=None,
            labels=labels,
            device=params.runtime.device,
            server=context.server,
            api_key=context.api_key,
        ),
    )
    store = GenerationStore(context.store, params.runtime.batch_size)
    sampling = Sampling(1, settings.temperature, settings.top_p, settings.max_tokens)

    def ask(requests: list[Request]) -> list[Sample]:
        groups = store.generate(engine, requests, sampling, progress="rationales")
        return [group[0] for group in groups]

    return collect_rationales(cases, labels, ask, engine.identity, settings, params.seed)


def _join_released(
    context: Context, cases: list[Case], splits: list[SplitRecord]
) -> tuple[Outcome, dict[str, float]]:
    """The released rationales of the cases, and the metrics of what did not join."""
    folder = context.home / context.params.paths.released
    check_released(folder, [RATIONALES])
    released = released_rationales(folder, [item.image for item in splits])
    outcome = assign_released([case.image for case in cases], released)
    if not outcome.rationales:
        raise ValueError(
            f"cot.source: none of the {len(cases)} images of part sft has a released rationale, "
            f"{len(released.rationales)} other images have one; set split.sft_images to released, "
            "or cot.source to teacher"
        )
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


def write_yield(path: Path, yields: dict[ClassKey, ClassYield], names: Sequence[str]) -> None:
    """Write the yield of each sub-category as CSV; names: the reasons of rejects."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["category", "label", "asked", "kept", "samples", *names])
    for (category, label), count in yields.items():
        reasons = [count.rejected[reason] for reason in names]
        writer.writerow([category, label, count.asked, count.kept, count.samples, *reasons])
    write_atomic(path, text.getvalue().encode())


def _cases(context: Context, splits: list[SplitRecord]) -> list[Case]:
    """The SFT images with the concepts selected for them."""
    paths = context.params.paths
    selected = {row.image_id: row.concepts for row in read_jsonl(paths.concepts, Concepts)}
    archive = ImageArchive(paths.images)
    return [
        Case(row.image, archive.read(row.image.id), selected[row.image.id])
        for row in splits
        if row.part == "sft"
    ]


def _log_samples(context: Context, cases: list[Case], outcome: Outcome) -> None:
    pictures = {case.image.id: case.picture for case in cases}
    context.log_table(
        "rationales",
        [
            {
                "image": pictures[row.image_id],
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
            {"image": pictures[row.image_id], "reason": row.reason, "text": row.text}
            for row in outcome.rejects[:_ROWS_SHOWN]
        ],
    )
    context.log_file(context.params.paths.cot_yield)


def _text(row: Rationale) -> str:
    """What is learnt, less the answer where it stands apart."""
    sections = sections_text(row.analysis, row.options, row.comparison, row.prediction)
    return sections if row.completion is None else row.completion


def _metrics(outcome: Outcome, num_without: int, reasons: Sequence[str]) -> dict[str, float]:
    yields = outcome.yields.values()
    asked = sum(count.asked for count in yields)
    samples = sum(count.samples for count in yields)
    rejected = sum((count.rejected for count in yields), Counter())
    words = [_num_words(row) for row in outcome.rationales]
    return {
        "cot/asked": asked,
        "cot/kept": len(outcome.rationales),
        "cot/samples": samples,
        "cot/yield": len(outcome.rationales) / asked if asked else 0.0,
        "cot/acceptance": len(outcome.rationales) / samples if samples else 0.0,
        "cot/classes": len(outcome.yields),
        "cot/classes_without": num_without,
        "cot/words_mean": fmean(words) if words else 0.0,
        **{f"cot/rejected_{reason}": rejected[reason] for reason in reasons},
    }


def _num_words(row: Rationale) -> int:
    """Words of the rationale, as it was written."""
    if row.completion is not None:
        return len(row.completion.partition("</think>")[0].split())
    return len(f"{row.analysis} {' '.join(row.options)} {row.comparison} {row.prediction}".split())


if __name__ == "__main__":
    main("cot", cot)
