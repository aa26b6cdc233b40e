"""CUB-200-2011: 200 species of birds in the layout of its archive.

Text files of lines "id value": images.txt (path below images/), image_class_labels.txt (class
id), classes.txt (name), train_test_split.txt (1 is training). Wah, Branson, Welinder, Perona,
Belongie, CNS-TR-2011-001.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from finer1.data_params import DownloadParams
from finer1.images import decode_image
from finer1.records import ImageRecord

LAYOUT = (
    "CUB_200_2011 with images.txt, image_class_labels.txt, classes.txt, train_test_split.txt "
    "and images/"
)
"""What the folder must hold; download quotes it."""

OFFICIAL = {"images": 11_788, "classes": 200, "training images": 5_994}

_IMAGES, _CLASSES = "images.txt", "classes.txt"
_LABELS, _SIDES = "image_class_labels.txt", "train_test_split.txt"

_Table = dict[str, tuple[int, str]]
"""Id -> line number and value."""


@dataclass(frozen=True)
class _Row:
    """One image of the tables."""

    line: int
    """Its line in images.txt."""
    path: str
    """Below images/: <class folder>/<file>."""
    label: str
    is_training: bool


def read(root: Path | None, settings: DownloadParams) -> Iterator[tuple[ImageRecord, bytes]]:
    """Every image with its row, in the order of images.txt.

    `root` is CUB_200_2011 or the folder it lies in. Raises ValueError with a line for each wrong
    row of the tables, for each difference from the official counts, or, after the last good
    image, for each image that is missing or unreadable.
    """
    folder = _find_folder(root)
    rows = _read_rows(folder)
    _check_counts(rows, settings.subset)
    broken = []
    for row in rows:
        path = folder / "images" / row.path
        where = f"{folder / _IMAGES}:{row.line}"
        if not path.is_file():
            broken.append(f"{where}: {row.path}: there is no such file below images/")
            continue
        try:
            content = path.read_bytes()
            decode_image(content, row.path)
        except (OSError, ValueError) as error:
            broken.append(f"{where}: {error}")
            continue
        yield _record(row, content), content
    _refuse(broken)


def class_label(name: str) -> str:
    """Species of a raw class name: "001.Black_footed_Albatross" -> "Black Footed Albatross"."""
    words = name.partition(".")[2].replace("_", " ").split()
    return " ".join(word[:1].upper() + word[1:] for word in words)


def _find_folder(root: Path | None) -> Path:
    if root is None:
        raise ValueError(f"dataset bird needs the folder {LAYOUT}")
    for folder in (root, root / "CUB_200_2011"):
        if (folder / _IMAGES).is_file():
            return folder
    raise ValueError(f"{root}: no images.txt here or in CUB_200_2011 below; expected {LAYOUT}")


def _record(row: _Row, content: bytes) -> ImageRecord:
    return ImageRecord(
        id=f"bird/{row.path}",
        dataset="bird",
        category="bird",
        label=row.label,
        group=row.label.split()[-1],
        member=row.path,
        sha256=hashlib.sha256(content).hexdigest(),
        official="train" if row.is_training else "test",
    )


def _read_rows(folder: Path) -> list[_Row]:
    """The joined tables; each file is checked against the others, row by row."""
    names = (_IMAGES, _CLASSES, _LABELS, _SIDES)
    _refuse([f"{folder / n}: the file is missing" for n in names if not (folder / n).is_file()])
    wrong: list[str] = []
    images, classes, labels, sides = (_table(folder / name, wrong) for name in names)
    _check_classes(folder / _CLASSES, classes, wrong)
    _check_paths(folder / _IMAGES, images, wrong)
    _check_same_ids(folder, _LABELS, images, labels, wrong)
    _check_same_ids(folder, _SIDES, images, sides, wrong)
    rows = []
    for key, (line, path) in images.items():
        if key not in labels or key not in sides:
            continue  # reported above
        label_line, class_id = labels[key]
        side_line, side = sides[key]
        raw = classes.get(class_id, (0, ""))[1]
        if not raw:
            wrong.append(f"{folder / _LABELS}:{label_line}: no class {class_id} in {_CLASSES}")
        elif raw != path.split("/")[0]:
            wrong.append(f"{folder / _LABELS}:{label_line}: class {raw}, but the image is {path}")
        if side not in ("0", "1"):
            wrong.append(f"{folder / _SIDES}:{side_line}: {side!r} is neither 0 nor 1")
        rows.append(_Row(line, path, class_label(raw), side == "1"))
    _refuse(wrong)
    return rows


def _table(path: Path, wrong: list[str]) -> _Table:
    rows: _Table = {}
    text = path.read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        key, _, value = line.strip().partition(" ")
        if not value:
            wrong.append(f"{path}:{number}: {line!r} is not 'id value'")
        elif key in rows:
            wrong.append(f"{path}:{number}: id {key} is already in line {rows[key][0]}")
        else:
            rows[key] = (number, value)
    return rows


def _check_classes(path: Path, classes: _Table, wrong: list[str]) -> None:
    lines: dict[str, int] = {}
    for line, raw in classes.values():
        label = class_label(raw)
        if not label:
            wrong.append(f"{path}:{line}: {raw!r} is not like 001.Black_footed_Albatross")
        elif label in lines:
            wrong.append(f"{path}:{line}: {label} is already in line {lines[label]}")
        lines.setdefault(label, line)


def _check_paths(path: Path, images: _Table, wrong: list[str]) -> None:
    lines: dict[str, int] = {}
    for line, image in images.values():
        parts = image.split("/")
        if len(parts) != 2 or {"", ".", ".."} & set(parts) or "\\" in image:
            wrong.append(f"{path}:{line}: {image!r} is not <class folder>/<file>")
        elif image in lines:
            wrong.append(f"{path}:{line}: {image} is already in line {lines[image]}")
        lines.setdefault(image, line)


def _check_same_ids(
    folder: Path, name: str, images: _Table, table: _Table, wrong: list[str]
) -> None:
    for key in images.keys() - table.keys():
        wrong.append(f"{folder / _IMAGES}:{images[key][0]}: image {key} is not in {name}")
    for key in table.keys() - images.keys():
        wrong.append(f"{folder / name}:{table[key][0]}: image {key} is not in {_IMAGES}")


def _check_counts(rows: list[_Row], subset: bool) -> None:
    found = {
        "images": len(rows),
        "classes": len({row.label for row in rows}),
        "training images": sum(row.is_training for row in rows),
    }
    wrong = [
        f"{found[name]} {name} instead of {OFFICIAL[name]}"
        for name in OFFICIAL
        if found[name] > OFFICIAL[name] or (found[name] < OFFICIAL[name] and not subset)
    ]
    if not rows:
        raise ValueError("dataset bird: images.txt names no image")
    if wrong:
        raise ValueError(
            f"dataset bird: {', '.join(wrong)}; get the whole archive, or set "
            "download.subset to true if fewer are meant"
        )


def _refuse(wrong: list[str]) -> None:
    if wrong:
        raise ValueError("\n".join(sorted(wrong, key=_by_line)))


def _by_line(message: str) -> tuple[str, int]:
    file, line = message.split(":")[:2]
    return file, int(line) if line.isdigit() else 0
