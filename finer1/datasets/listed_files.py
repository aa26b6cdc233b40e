"""Tables against the disk: every row names an image that is there, and no image is left over."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from finer1.datasets.interface import ListedImage
from finer1.inspection.suffixes import is_image_name


def check_files(images: Sequence[ListedImage], folders: Sequence[Path], wrong: list[str]) -> None:
    """Tell in `wrong` each row without its file below the folders, and each file without a row.

    The images' sources are paths. Files that begin with a dot or are no images are ignored. What
    is left over is told only when no row was wrong before, as a wrong row leaves its file over.
    """
    had_wrong_rows = bool(wrong)
    missing = [folder for folder in folders if not folder.is_dir()]
    wrong += [f"{folder}: the folder is missing" for folder in missing]
    if missing:
        return
    there: set[Path] = set()
    for folder in folders:
        there.update(_files(str(folder)))
    named = {image.source for image in images}
    for image in images:
        if image.source not in there:
            wrong.append(f"{image.where}: there is no file {image.path} in the dataset's folder")
    for path in sorted(set() if had_wrong_rows else there - named):
        if is_image_name(path.name):
            wrong.append(f"{path}: no table names this image; remove it, or get the whole tables")


def check_unique(images: Sequence[ListedImage], wrong: list[str]) -> None:
    """Tell in `wrong` each row that names an image an earlier row has named."""
    first: dict[str, str] = {}
    for image in images:
        if image.path in first:
            wrong.append(f"{image.where}: {image.path} is already named in {first[image.path]}")
        first.setdefault(image.path, image.where)


def last_word_groups(labels: Iterable[str], category: str) -> dict[str, str | None]:
    """Label -> its last word (Terrier, lily) where several labels share it, else None.

    The word for the category itself (Maltese Dog, balloon flower) makes no group.
    """
    words = {label: label.split()[-1] for label in labels}
    counts = Counter(words.values())
    return {
        label: word if counts[word] > 1 and word.lower() != category else None
        for label, word in words.items()
    }


def _files(folder: str) -> Iterator[Path]:
    """Paths of the files below the folder."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from _files(entry.path)
            else:
                yield Path(entry.path)
