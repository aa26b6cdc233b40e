"""Stage `cot`: teacher rationales of the SFT images that pass all filters.

    python -m tasks.cot

Reads paths.splits, paths.images and paths.concepts; writes paths.rationales and
paths.cot_yield (per sub-category: images asked and kept, samples, rejects by reason).
"""

import csv
import io
import logging
from collections import Counter
from pathlib import Path
from statistics import fmean

from finer1.engines.interface import EngineSettings, Request, Sample, Sampling, load_engine
from finer1.engines.store import GenerationStore
from finer1.files import write_atomic
from finer1.images import ImageArchive
from finer1.prompts import sections_text
from finer1.records import Concepts, SplitRecord, read_jsonl, write_jsonl
from finer1.splits import labels_by_category
from finer1.teacher.captions import ClassKey
from finer1.teacher.filters import REASONS
from finer1.teacher.rationales import Case, ClassYield, Outcome, collect_rationales
from tasks.stage import Context, main

_ROWS_SHOWN = 12


def cot(context: Context) -> dict[str, float]:
    """Sample, filter, write; the metrics hold the yield and the reasons of rejects."""
    params = context.params
    settings = params.cot
    splits = read_jsonl(params.paths.splits, SplitRecord)
    labels = labels_by_category(splits)
    cases = _cases(context, splits)
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

    outcome = collect_rationales(cases, labels, ask, engine.identity, settings, params.seed)
    write_jsonl(params.paths.rationales, outcome.rationales)
    write_yield(params.paths.cot_yield, outcome.yields)
    without = [label for (_, label), count in outcome.yields.items() if not count.kept]
    if without:
        logging.getLogger(__name__).warning(
            "%d of %d seen sub-categories have no rationale: %s",
            len(without),
            len(outcome.yields),
            ", ".join(without),
        )
    _log_samples(context, cases, outcome)
    return _metrics(outcome, len(without))


def write_yield(path: Path, yields: dict[ClassKey, ClassYield]) -> None:
    """Write the yield of each sub-category as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["category", "label", "asked", "kept", "samples", *REASONS])
    for (category, label), count in yields.items():
        reasons = [count.rejected[reason] for reason in REASONS]
        writer.writerow([category, label, count.asked, count.kept, count.samples, *reasons])
    write_atomic(path, text.getvalue().encode())


def _cases(context: Context, splits: list[SplitRecord]) -> list[Case]:
    """The SFT images with the concepts selected for them."""
    paths = context.params.paths
    selected = {row.image_id: row.concepts for row in read_jsonl(paths.concepts, Concepts)}
    archive = ImageArchive(paths.images)
    return [
        Case(row.image, archive.read(row.image.member), selected[row.image.id])
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
                "rationale": sections_text(
                    row.analysis, row.options, row.comparison, row.prediction
                ),
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


def _metrics(outcome: Outcome, num_without: int) -> dict[str, float]:
    yields = outcome.yields.values()
    asked = sum(count.asked for count in yields)
    samples = sum(count.samples for count in yields)
    rejected = sum((count.rejected for count in yields), Counter())
    words = [
        len(f"{row.analysis} {' '.join(row.options)} {row.comparison} {row.prediction}".split())
        for row in outcome.rationales
    ]
    return {
        "cot/asked": asked,
        "cot/kept": len(outcome.rationales),
        "cot/samples": samples,
        "cot/yield": len(outcome.rationales) / asked if asked else 0.0,
        "cot/acceptance": len(outcome.rationales) / samples if samples else 0.0,
        "cot/classes": len(outcome.yields),
        "cot/classes_without": num_without,
        "cot/words_mean": fmean(words) if words else 0.0,
        **{f"cot/rejected_{reason}": rejected[reason] for reason in REASONS},
    }


if __name__ == "__main__":
    main("cot", cot)
