"""The seen and unseen sub-categories of the Fine-R1 release, for all six datasets.

classes.tsv has a line per sub-category: dataset, class, seen or unseen. The names are those of
the released evaluation files, which the readers produce.
"""

import csv
from functools import cache
from pathlib import Path

_LIST = Path(__file__).with_name("classes.tsv")


@cache
def released_classes(dataset: str) -> dict[str, bool]:
    """Sub-category -> whether it is seen; empty for a dataset without a released list."""
    with _LIST.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return {row["class"]: row["split"] == "seen" for row in rows if row["dataset"] == dataset}
