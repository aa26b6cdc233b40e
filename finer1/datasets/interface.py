"""What a dataset reader gives; a reader is found by its module's name.

A module `finer1/datasets/<name>.py` has

    LAYOUT: str         what the folder must hold, for messages
    MARKER: str         a file below the folder, by which it is found
    OFFICIAL: dict      what the whole dataset holds, by the names of `counts`
    read(folder: Path, settings: OfficialParams) -> Listing

The reader reads tables, never pixels: finer1/inspection/inspecting.py opens the images, so that
everything wrong with them is told at once. It raises ValueError, with a line per wrong row naming
file and row, for whatever is missing or broken in the tables. Datasets in other forms are listed by
finer1/datasets/world.py (drawn), finer1/own/dataset.py (`finer1 data add`) and
finer1/hub/copies.py (copies on the Hugging Face hub).
"""

import importlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal

Side = Literal["train", "validation", "test"]

_SIDE_COUNTS: dict[Side, str] = {
    "train": "training images",
    "validation": "validation images",
    "test": "test images",
}

_DEEPEST = 2
"""Levels below the named folder at which a dataset's folder is looked for."""


@dataclass(frozen=True)
class ListedImage:
    """One image as the tables of a dataset name it."""

    path: str
    """Name inside the dataset's archive, POSIX separators, unique in the dataset."""
    category: str
    """Word for the super-category, as questions use it."""
    label: str
    group: str | None
    """Genus, maker or family within the category; None where unknown."""
    official: Side
    source: Path | bytes
    """The image file, or its content where there is none."""
    where: str
    """The row or file that names it, for messages: `/data/CUB_200_2011/images.txt:12`."""
    crop_bottom: int = 0
    """Rows of pixels that are no part of the picture (the banner of FGVC-Aircraft)."""
    sha256: str | None = None
    """SHA-256 that the file must have; None where the dataset does not say."""


@dataclass(frozen=True)
class Listing:
    """All images of one dataset in a fixed order."""

    images: tuple[ListedImage, ...]
    notes: tuple[str, ...] = ()
    """A sentence per accepted difference from the official dataset."""


def find_reader(dataset: str) -> ModuleType | None:
    """The module that reads the official layout of the dataset; None when there is none."""
    name = f"finer1.datasets.{dataset}"
    try:
        reader = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if not name.startswith(str(error.name)):
            raise  # the reader is there, and a package that it imports is not
        return None
    return reader if hasattr(reader, "MARKER") else None


def reader_of(dataset: str) -> ModuleType:
    """As `find_reader`, for a dataset that must have one."""
    reader = find_reader(dataset)
    assert reader is not None, f"finer1/datasets/{dataset}.py"
    return reader


def find_folder(root: Path, reader: ModuleType, dataset: str) -> Path:
    """The dataset's folder: `root` or one folder up to two levels below it.

    Raises ValueError when there is none, or more than one.
    """
    found = [folder for folder in _folders(root, 0) if (folder / reader.MARKER).is_file()]
    if not found:
        raise ValueError(
            f"{root}: no {reader.MARKER}, for dataset {dataset}; expected {reader.LAYOUT}"
        )
    if len(found) > 1:
        places = ", ".join(map(str, found))
        raise ValueError(
            f"{root} holds dataset {dataset} more than once ({places}); name one of them"
        )
    return found[0]


def counts(images: Iterable[tuple[str, Side]]) -> dict[str, int]:
    """Images, classes and images of each side; (label, side) of each image."""
    sides: Counter[Side] = Counter()
    labels = set()
    for label, side in images:
        labels.add(label)
        sides[side] += 1
    return {
        "images": sides.total(),
        "classes": len(labels),
        **{name: sides[side] for side, name in _SIDE_COUNTS.items()},
    }


def check_counts(
    dataset: str, found: Mapping[str, int], official: Mapping[str, int], subset: bool
) -> tuple[str, ...]:
    """A note when `found` differs from the `official` counts of the same names.

    Raises ValueError for a difference unless `subset`, for more than the official dataset holds,
    and when there is no image.
    """
    wrong = [
        f"{found[name]} {name} instead of {official[name]}"
        for name in official
        if found[name] != official[name]
    ]
    if not found["images"]:
        raise ValueError(f"dataset {dataset}: its tables name no image")
    if not wrong:
        return ()
    if any(found[name] > official[name] for name in official):
        raise ValueError(
            f"dataset {dataset}: {', '.join(wrong)}: it is no part of the official dataset; get "
            "the official one"
        )
    if not subset:
        raise ValueError(
            f"dataset {dataset}: {', '.join(wrong)}; get the whole archive, or set "
            f"download.{dataset}.subset to true if fewer are meant"
        )
    return (f"{dataset} is a part of the official dataset: {', '.join(wrong)}",)


def _folders(folder: Path, depth: int) -> Iterator[Path]:
    yield folder
    if depth < _DEEPEST:
        with os.scandir(folder) as entries:
            below = sorted(entry.path for entry in entries if entry.is_dir())
        for path in below:
            yield from _folders(Path(path), depth + 1)
