"""Stage `split`: seen and unseen sub-categories, and the part of each image.

    python -m tasks.split

Reads paths.index; writes paths.splits.
"""

import logging
from collections import Counter

from finer1.records import ImageRecord, read_jsonl, write_jsonl
from finer1.splits import split_images
from tasks.stage import Context, main


def split(context: Context) -> dict[str, float]:
    """Write the split; the metrics count classes and images."""
    params = context.params
    records = read_jsonl(params.paths.index, ImageRecord)
    outcome = split_images(
        records, params.split, params.seed, allow_duplicates=params.download.subset
    )
    for sentence in outcome.duplicates:
        logging.getLogger(__name__).warning("%s", sentence)
    rows = outcome.rows
    write_jsonl(params.paths.splits, rows)
    classes = {(row.image.dataset, row.image.category, row.image.label): row.seen for row in rows}
    context.log_table(
        "split",
        [
            {"dataset": key[0], "category": key[1], "label": key[2], "seen": classes[key]}
            for key in sorted(classes)
        ],
    )
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
        "split/unused": len(records) - len(rows),
        "split/duplicates": len(outcome.duplicates),
    }


if __name__ == "__main__":
    main("split", split)
