"""Stage `split`: seen and unseen sub-categories, and the part of each image.

    python -m tasks.split

Reads paths.index and, for `split.sft_images: released`, paths.released; writes paths.splits.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

from finer1.inspection.near_pairs import MOST_PAIRS, NEAR_DISTANCE, near_pairs
from finer1.own.corrected_shots import is_corrected, num_corrected, prefer_corrected
from finer1.records import ImageRecord, SplitRecord, read_jsonl, write_jsonl
from finer1.reference.release import RATIONALES
from finer1.released.files import check_released
from finer1.released.rationales import released_images
from finer1.separation import (
    TRAINING,
    Duplicate,
    check_split,
    cut_short,
    find_duplicates,
    seen_elsewhere,
)
from finer1.splits import split_images
from tasks.stage import Context, main

_PAIRS_SHOWN = 200


def split(context: Context) -> dict[str, float]:
    """Write the split; the metrics count classes, images, and what training and tests share."""
    params = context.params
    records = read_jsonl(params.paths.index, ImageRecord)
    preferred = _released_images(context, records)
    given = [record for record in records if not is_corrected(record)]
    rows = prefer_corrected(records, split_images(given, params.split, params.seed, preferred))
    counts = check_split(rows, params.split.overlap or params.split.shared)
    duplicates = find_duplicates(rows)
    _judge_duplicates(context, duplicates)
    for key in seen_elsewhere(rows):
        logging.getLogger(__name__).warning(
            "%s (%s, %s) is unseen, but a seen sub-category of another dataset has its name",
            *reversed(key),
        )
    write_jsonl(params.paths.splits, rows)
    _log_classes(context, rows)
    released = [row.image for row in rows if row.part == "sft" and row.image.id in preferred]
    return {
        **_metrics(records, rows),
        **counts,
        "split/corrected": num_corrected(rows),
        "split/sft_released": len(released),
        "split/sft_released_validation": sum(i.official == "validation" for i in released),
        "split/duplicates": len(duplicates),
        "split/duplicates_trained_and_evaluated": sum(pair.is_leak for pair in duplicates),
        **_near_duplicates(context, rows),
    }


def _released_images(context: Context, records: Sequence[ImageRecord]) -> frozenset[str]:
    """Ids of the images of the released rationales; none where they are not asked for."""
    if context.params.split.sft_images == "drawn":
        return frozenset()
    check_released(context.home / context.params.paths.released, [RATIONALES])
    released = released_images(context.home / context.params.paths.released, records)
    for sentence in released.sentences():
        logging.getLogger(__name__).warning("split.sft_images: %s", sentence)
    if not released.image_ids:
        raise ValueError(
            "split.sft_images: no released rationale is about a training image of "
            f"{', '.join(context.params.download.datasets)}; set it to drawn"
        )
    return released.image_ids


def _judge_duplicates(context: Context, duplicates: Sequence[Duplicate]) -> None:
    """Log them where `download.duplicates` has them counted; else raise."""
    if not duplicates:
        return
    lines = [str(pair) for pair in duplicates]
    if context.params.download.duplicates == "refuse":
        remedy = "remove one of them, or set download.duplicates to count"
        raise ValueError("\n".join(cut_short([f"{line}; {remedy}" for line in lines])))
    for line in cut_short(lines):
        logging.getLogger(__name__).warning("%s", line)


def _log_classes(context: Context, rows: Sequence[SplitRecord]) -> None:
    classes = {row.image.class_key: row.seen for row in rows}
    context.log_table(
        "split",
        [
            {"dataset": key[0], "category": key[1], "label": key[2], "seen": classes[key]}
            for key in sorted(classes)
        ],
    )


def _metrics(records: Sequence[ImageRecord], rows: Sequence[SplitRecord]) -> dict[str, float]:
    classes = {row.image.class_key: row.seen for row in rows}
    images = Counter((row.part, row.seen) for row in rows)
    return {
        "split/classes_seen": sum(classes.values()),
        "split/classes_unseen": len(classes) - sum(classes.values()),
        "split/sft": images["sft", True],
        "split/tapo": images["tapo", True],
        **{
            f"split/{part}_{'seen' if seen else 'unseen'}": images[part, seen]
            for part in ("validation", "test")
            for seen in (True, False)
        },
        "split/unused": len(records) - len({row.image.id for row in rows}),
    }


def _near_duplicates(context: Context, rows: Sequence[SplitRecord]) -> dict[str, float]:
    """Counts of look-alikes, one trained on and one evaluated, of other bytes; a table of them."""
    # By id: an image with both training parts is one image. Trained ones first in every pair.
    by_id = {row.image.id: row for row in rows}
    sides = sorted(by_id.values(), key=lambda row: row.part not in TRAINING)
    kinds = [int(row.part in TRAINING) for row in sides]
    hashes = [row.image.phash for row in sides]
    pairs = near_pairs(hashes, NEAR_DISTANCE, kinds, [row.image.sha256 for row in sides])
    is_truncated = len(pairs) >= MOST_PAIRS
    if is_truncated:
        logging.getLogger(__name__).warning(
            "at least %d pairs of a training and an evaluated image look alike; the search stopped "
            "there",
            len(pairs),
        )
    table: list[dict[str, Any]] = [
        {
            "trained on": sides[first].image.id,
            "label": sides[first].image.label,
            "evaluated": sides[second].image.id,
            "its label": sides[second].image.label,
            "part": sides[second].part,
            "distance": distance,
        }
        for first, second, distance in pairs
    ]
    # A stable sort: pairs of one distance stay in the order of the index.
    nearest = sorted(table, key=lambda item: item["distance"])
    context.log_table("near_duplicates", nearest[:_PAIRS_SHOWN])
    parts = Counter(item["part"] for item in table)
    return {
        "split/near_duplicate_distance": NEAR_DISTANCE,
        "split/near_duplicates_truncated": int(is_truncated),
        **{f"split/near_duplicates_{part}": parts[part] for part in ("validation", "test")},
    }


if __name__ == "__main__":
    main("split", split)
