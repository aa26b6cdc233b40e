"""What a model was trained on, counted by the stages of its run."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from finer1.params import Params
from finer1.records import Rationale, read_jsonl

_STAGES = ("split", "cot", "review", "sft")
_REJECTED = "cot/rejected_"


def audit_rows(params: Params, has_tapo: bool) -> list[tuple[str, str]]:
    """(what, count in words) of data, split, teacher and review; files as params.paths has them.

    has_tapo: what is told of was trained by TAPO, too.
    """
    paths = params.paths
    counts: dict[str, float] = {}
    for stage in _STAGES:
        counts |= _json(paths.metrics / f"{stage}.json")
    rationales = read_jsonl(paths.reviewed, Rationale)
    audit = _json(paths.audit)
    return [
        *_data_rows(audit),
        *_split_rows(params, counts, has_tapo),
        *_teacher_rows(counts, rationales),
    ]


def _data_rows(audit: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, found in audit.items():
        kinds = Counter(f"{item['kind']} ({item['level']})" for item in found["findings"])
        told = "".join(f"; {kind}: {count}" for kind, count in sorted(kinds.items()))
        yield (
            f"dataset {name}",
            f"{found['images']} images of {found['classes']} sub-categories, "
            f"{found['unreadable']} unreadable{told}",
        )


def _split_rows(
    params: Params, counts: Mapping[str, float], has_tapo: bool
) -> Iterator[tuple[str, str]]:
    split = {name.removeprefix("split/"): int(value) for name, value in counts.items()}
    yield (
        "sub-categories",
        f"{split['classes_seen']} seen in training, {split['classes_unseen']} unseen",
    )
    most = "at most " if params.split.overlap else ""
    shots = f"{most}{params.split.sft_shots} for SFT"
    if has_tapo:
        shots = f"{shots}, {most}{params.split.tapo_shots} for TAPO"
    yield "shots (images per seen sub-category)", shots
    if has_tapo:
        shared = split["overlap_images"]
        yield (
            "images trained on",
            f"{split['training_images']}, {shared} of them in SFT and in TAPO",
        )
    yield (
        "equal files with other parts or labels",
        f"{split['duplicates']} pairs, {split['duplicates_trained_and_evaluated']} of them trained "
        "on and evaluated",
    )
    least = "at least " if split["near_duplicates_truncated"] else ""
    yield (
        "near-duplicates of training images",
        f"{least}{split['near_duplicates_test']} pairs with a test and "
        f"{split['near_duplicates_validation']} with a validation image "
        f"(perceptual hashes at most {split['near_duplicate_distance']} of 64 "
        "bits apart)",
    )
    if split["unseen_seen_elsewhere"]:
        yield (
            "unseen names seen elsewhere",
            f"{split['unseen_seen_elsewhere']} have the name of a seen one of another dataset",
        )


def _teacher_rows(
    counts: Mapping[str, float], rationales: list[Rationale]
) -> Iterator[tuple[str, str]]:
    engines = Counter(row.engine for row in rationales)
    yield "teacher", ", ".join(f"{name} ({n})" for name, n in sorted(engines.items())) or "none"
    if "cot/samples" in counts:
        yield (
            "yield",
            f"{counts['cot/kept']:.0f} rationales for {counts['cot/asked']:.0f} images, from "
            f"{counts['cot/samples']:.0f} samples; {counts['cot/classes_without']:.0f} of "
            f"{counts['cot/classes']:.0f} sub-categories without any",
        )
        rejected = {
            name.removeprefix(_REJECTED).replace("_", " "): int(value)
            for name, value in counts.items()
            if name.startswith(_REJECTED) and value
        }
        if rejected:
            yield "rejected by filters", ", ".join(f"{k} {n}" for k, n in sorted(rejected.items()))
    stand_in = int(counts["review/stand_in"])
    by = f" ({stand_in} by the drawn world's own reviewer)" if stand_in else ""
    yield (
        "reviewed",
        f"{counts['review/accepted']:.0f} accepted, {counts['review/edited']:.0f} edited, "
        f"{counts['review/rejected']:.0f} rejected, {counts['review/undecided']:.0f} not looked "
        f"at{by}",
    )
    if "sft/rationales_naming_unseen" in counts:
        yield (
            "rationales that name unseen sub-categories",
            f"{counts['sft/rationales_naming_unseen']:.0f} of {len(rationales)}",
        )


def _json(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))
