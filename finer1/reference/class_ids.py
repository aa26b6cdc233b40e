"""Facts by which label files are checked, row by row: class ids, and labels of some images.

car_classes.tsv: Stanford Cars, the names of cars_meta.mat in its order.
dog_classes.tsv: Stanford Dogs, the folder of each class; its archive has no other list.
flower_classes.tsv: Oxford Flowers, names as in the Fine-R1 release, since the archive has none.
flower_runs.tsv: Oxford Flowers, the first image number of each run of images of one class.
car_checks.tsv: Stanford Cars, a check of each image's class, 100 images a line: the first two
hex digits of the SHA-256 of "cars_train/00001.jpg 14", so that one wrong class in 256 passes.

SOURCE.md says what they are made from.
"""

import csv
import hashlib
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Literal

FLOWER_IMAGES = 8189

# Whole names, by which flows/deps.py finds that a stage depends on these files.
_CLASSES = {
    "car": "car_classes.tsv",
    "dog": "dog_classes.tsv",
    "flower": "flower_classes.tsv",
}


@cache
def class_names(dataset: Literal["car", "dog", "flower"]) -> tuple[str, ...]:
    """The names of the classes in the order of their ids; the first has id 1."""
    return tuple(row["name"] for row in _rows(_CLASSES[dataset]))


def is_car_of(path: str, class_id: int) -> bool | None:
    """Whether the image at a path like cars_train/00001.jpg has the class; None if not known."""
    check = _car_checks().get(path)
    digest = hashlib.sha256(f"{path} {class_id}".encode()).hexdigest()
    return None if check is None else digest.startswith(check)


@cache
def flower_labels() -> tuple[int, ...]:
    """Class id of each image; the first is that of image_00001.jpg."""
    rows = _rows("flower_runs.tsv")
    starts = [int(row["first_image"]) for row in rows]
    labels: list[int] = []
    for row, (start, end) in zip(rows, pairwise([*starts, FLOWER_IMAGES + 1]), strict=True):
        labels += [int(row["id"])] * (end - start)
    return tuple(labels)


@cache
def _car_checks() -> dict[str, str]:
    checks = {}
    for row in _rows("car_checks.tsv"):
        folder, _, name = row["first_image"].partition("/")
        first = int(name.removesuffix(".jpg"))
        for place in range(0, len(row["checks"]), 2):
            number = first + place // 2
            checks[f"{folder}/{number:05}.jpg"] = row["checks"][place : place + 2]
    return checks


def _rows(name: str) -> list[dict[str, str]]:
    with Path(__file__).with_name(name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))
