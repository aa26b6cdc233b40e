"""Copies of the published datasets on the Hugging Face hub, mapped to the same records.

A copy is loaded at a fixed revision, without any code of its own, and its images are written out
once, byte for byte, as files:

    <raw>/hub/<dataset>-<hash>/<side of the copy>/<image file>
    <raw>/hub/<dataset>-<hash>/images.jsonl         a row per image; written last, marks the end

What its labels mean is in finer1/hub/labels.py.
"""

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from finer1.datasets.interface import ListedImage, Listing, Side, check_counts, counts, reader_of
from finer1.downloads.fetching import sole_writer
from finer1.files import sha256_folder
from finer1.hub.labels import class_groups, refuse_unclear_ids, released_names
from finer1.hub.loading import (
    SIDES,
    check_splits,
    class_names,
    contents,
    declared_names,
    find_copy,
    load_splits,
    readable_roots,
)
from finer1.progress import Progress
from finer1.records import read_jsonl, row, write_jsonl

_CACHE = "loaded"
"""Folder in which `datasets` prepares the rows; removed in the end."""


@row
class CopiedImage:
    """One image of a copy, written out."""

    path: str
    """Below the folder of the copy: <official>/<file>."""
    name: str
    """Class, as the copy names it."""
    official: Side
    """As the copy has it; see `_side`."""
    where: str
    """Split and row."""
    size: int
    """Bytes."""


def materialise(dataset: str, copy: str, raw: Path, subset: bool) -> Listing:
    """Every image of the copy, split by split; the files are written below `raw` when needed.

    copy: `<owner>/<name>@<revision>` on the hub, the revision 40 hex digits; or a local folder
    that `datasets` can load.
    Raises ValueError when the copy has other classes or counts than the dataset, or no test
    split; OSError when the hub cannot be reached. One process writes, others wait for it.
    """
    path, revision = find_copy(dataset, copy)
    folder = _place(dataset, copy, raw)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with sole_writer(folder.with_name(f".{folder.name}.lock")):
        images = _written(folder)
        if images is None:
            try:
                splits = load_splits(copy, path, revision, folder / _CACHE)
                roots = readable_roots(path, revision, folder / _CACHE)
                images = _write(dataset, copy, folder, splits, roots, subset)
            finally:
                shutil.rmtree(folder / _CACHE, ignore_errors=True)
    names, notes = _compare(dataset, copy, [(i.name, i.official) for i in images], subset)
    groups = class_groups(dataset)
    listed = tuple(
        ListedImage(
            path=image.path,
            category=dataset,
            label=names[image.name],
            group=groups[names[image.name]],
            official=_side(dataset, image.official),
            source=folder / image.path,
            where=f"hub copy {copy}: {image.where}",
            crop_bottom=getattr(reader_of(dataset), "BANNER", 0),
        )
        for image in images
    )
    return Listing(listed, tuple(notes))


def is_at_hand(dataset: str, copy: str, raw: Path) -> bool:
    """True when `materialise` needs no connection. Raises ValueError for no such copy."""
    _, revision = find_copy(dataset, copy)
    return revision is None or _written(_place(dataset, copy, raw)) is not None


def _place(dataset: str, copy: str, raw: Path) -> Path:
    path, revision = find_copy(dataset, copy)
    content = copy if revision else f"{copy} {sha256_folder(Path(path))}"
    return raw / "hub" / f"{dataset}-{hashlib.sha256(content.encode()).hexdigest()[:16]}"


def _side(dataset: str, official: Side) -> Side:
    """Training, for the validation images of a dataset whose official training side has them."""
    has_none = "validation images" not in reader_of(dataset).OFFICIAL
    return "train" if official == "validation" and has_none else official


def _write(
    dataset: str,
    copy: str,
    folder: Path,
    splits: Mapping[str, Any],
    roots: Sequence[Path],
    subset: bool,
) -> list[CopiedImage]:
    """Write the images that are not there yet, and in the end the list of all."""
    check_splits(dataset, copy, splits)
    labels = class_names(copy, splits)
    rows = [(label, SIDES[name]) for name, every in labels.items() for label in every]
    # Before the long writing, not after it.
    refuse_unclear_ids(dataset, declared_names(copy, splits), copy)
    _compare(dataset, copy, rows, subset)
    progress = Progress(f"copy {dataset}", len(rows), "images")
    images = []
    for name, split in splits.items():
        for number, (file, content) in enumerate(contents(copy, name, split, roots)):
            path = f"{SIDES[name]}/{file}"
            is_new = _write_new(folder / path, content)
            where = f"split {name}, row {number}"
            images.append(CopiedImage(path, labels[name][number], SIDES[name], where, len(content)))
            progress.advance(1, is_new=is_new)
    # One flush for all files instead of one for each.
    os.sync()
    write_jsonl(folder / "images.jsonl", images)
    return images


def _write_new(path: Path, content: bytes) -> bool:
    """False when the file was there, whole."""
    if path.is_file() and path.read_bytes() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)
    return True


def _written(folder: Path) -> list[CopiedImage] | None:
    """The images of a copy that is written out; None when it is not, or not whole."""
    marker = folder / "images.jsonl"
    if not marker.is_file():
        return None
    images = read_jsonl(marker, CopiedImage)
    paths = [(folder / image.path, image.size) for image in images]
    whole = all(path.is_file() and path.stat().st_size == size for path, size in paths)
    return images if whole else None


def _compare(
    dataset: str, copy: str, rows: Sequence[tuple[str, Side]], subset: bool
) -> tuple[dict[str, str], list[str]]:
    """Class name -> released name, and notes on what differs from the official dataset.

    rows: class name and the copy's side of each image. Raises ValueError for other classes, and
    for other counts, those of the sides included, unless they are a `subset`.
    """
    names = released_names(dataset, {name for name, _ in rows}, copy, subset)
    reader = reader_of(dataset)
    notes = [f"{dataset} is read from the hub copy {copy}"]
    if hasattr(reader, "BANNER"):
        notes.append(
            f"{dataset}: the lowest {reader.BANNER} rows of each image are cut off as banner"
        )
    found = counts((name, _side(dataset, official)) for name, official in rows)
    return names, [*notes, *check_counts(dataset, found, reader.OFFICIAL, subset)]
