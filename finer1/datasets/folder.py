"""Own images: a folder with one sub-folder per sub-category.

    <root>/<sub-category>/<image file>
    <root>/category.txt                 the word for what all of them are, "beetle"

Sub-folder names are the labels, with "_" read as a space. There is no official split: of each
sub-category, one image in `download.folder.test_every` is for the test.
"""

import unicodedata
from collections.abc import Iterator
from pathlib import Path

from finer1.data_params import DownloadParams
from finer1.files import sha256_file
from finer1.images import decode_image
from finer1.records import ImageRecord

LAYOUT = "with category.txt and one sub-folder of images per sub-category"
"""What the folder must hold; download quotes it."""

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp")

_SEPARATORS = frozenset(",;<>\n\t")
"""Would end a name in the options of a rationale."""


def read(root: Path | None, settings: DownloadParams) -> Iterator[tuple[ImageRecord, bytes]]:
    """Every image with its row, sub-folders and files in the order of their names.

    Hidden files are left out. Raises ValueError with a line for each sub-folder or file that
    cannot be used, or, after the last good image, for each that is unreadable.
    """
    if root is None or not root.is_dir():
        raise ValueError(f"dataset folder needs a folder {LAYOUT}; {root} is none")
    category = _category(root)
    broken: list[str] = []
    for label, files in _class_files(root).items():
        hashes = _hashes(files, broken)
        test = _test_files(hashes, settings.folder.test_every)
        for path, sha256 in hashes.items():
            content = path.read_bytes()
            try:
                decode_image(content, str(path))
            except ValueError as error:
                broken.append(str(error))
                continue
            member = path.relative_to(root).as_posix()
            record = ImageRecord(
                id=f"folder/{member}",
                dataset="folder",
                category=category,
                label=label,
                group=None,
                member=member,
                sha256=sha256,
                official="test" if path in test else "train",
            )
            yield record, content
    if broken:
        raise ValueError("\n".join(broken))


def _category(root: Path) -> str:
    given = root / "category.txt"
    if not given.is_file():
        raise ValueError(
            f"{given} is missing; write one word into it for what all images show, as in: bird"
        )
    word = " ".join(given.read_text(encoding="utf-8").replace("_", " ").split())
    if not word or _SEPARATORS & set(word):
        raise ValueError(f"{given}: {word!r} is not a word for what the images show, as in: bird")
    return word


def _class_files(root: Path) -> dict[str, list[Path]]:
    """Label -> its image files, sorted."""
    classes: dict[str, list[Path]] = {}
    beside = sorted(p for p in root.iterdir() if p.is_file() and p.suffix.lower() in SUFFIXES)
    wrong = [f"{p}: an image in no sub-folder" for p in beside if not p.name.startswith(".")]
    folders = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    taken: dict[str, Path] = {}
    for folder in folders:
        label = " ".join(unicodedata.normalize("NFC", folder.name).replace("_", " ").split())
        files = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
        strange = [p for p in files if p.suffix.lower() not in SUFFIXES or not p.is_file()]
        wrong += [f"{p}: not an image file ({', '.join(SUFFIXES)})" for p in strange]
        if _SEPARATORS & set(label):
            wrong.append(f"{folder}: a name must not hold a comma, semicolon or angle bracket")
        if label.casefold() in taken:
            wrong.append(f"{folder}: the same name as {taken[label.casefold()]}")
        if not files:
            wrong.append(f"{folder}: no image in this folder")
        taken[label.casefold()] = folder
        classes[label] = files
    if wrong:
        raise ValueError("\n".join(wrong))
    if not classes:
        raise ValueError(f"{root}: no sub-folder; expected a folder {LAYOUT}")
    return classes


def _hashes(files: list[Path], broken: list[str]) -> dict[Path, str]:
    """Hex SHA-256 of each file; one that cannot be read is told in `broken` instead."""
    hashes = {}
    for path in files:
        try:
            hashes[path] = sha256_file(path)
        except OSError as error:
            broken.append(f"{path}: {error.strerror}")
    return hashes


def _test_files(hashes: dict[Path, str], test_every: int) -> set[Path]:
    """Chosen by content, so that renaming or adding a file moves few others; one at least."""
    ranked = sorted(hashes, key=lambda path: hashes[path])
    return set(ranked[: max(1, len(hashes) // test_every)])
