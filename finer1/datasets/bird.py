"""CUB-200-2011: 200 species of birds in the layout of its archive.

Text files of lines "id value": images.txt (path below images/), image_class_labels.txt (class
id), classes.txt (name), train_test_split.txt (1 is training). Wah, Branson, Welinder, Perona,
Belongie, CNS-TR-2011-001.
"""

from pathlib import Path

from finer1.data_params import OfficialParams
from finer1.datasets.interface import ListedImage, Listing, check_counts, counts
from finer1.datasets.tables import (
    Fault,
    Table,
    check_keys,
    read_table,
    refuse,
    refuse_missing,
)

LAYOUT = (
    "CUB_200_2011 with images.txt, image_class_labels.txt, classes.txt, train_test_split.txt "
    "and images/"
)

MARKER = "train_test_split.txt"

OFFICIAL = {"images": 11_788, "classes": 200, "training images": 5_994}

_IMAGES, _CLASSES = "images.txt", "classes.txt"
_LABELS, _SIDES = "image_class_labels.txt", MARKER


def read(folder: Path, settings: OfficialParams) -> Listing:
    """Every image, in the order of images.txt.

    Raises ValueError with a line for each wrong row of the tables and each missing image, or
    with the difference from the official counts.
    """
    names = (_IMAGES, _CLASSES, _LABELS, _SIDES)
    refuse_missing(folder, names)
    faults: list[Fault] = []
    images, classes, labels, sides = (read_table(folder / name, faults) for name in names)
    _check_classes(folder / _CLASSES, classes, faults)
    _check_paths(folder, images, faults)
    for name, table in ((_LABELS, labels), (_SIDES, sides)):
        check_keys(folder / _IMAGES, images, table, name, faults)
        check_keys(folder / name, table, images, _IMAGES, faults)
    _check_rows(folder, images, classes, labels, sides, faults)
    if not settings.subset:
        _check_used(folder / _CLASSES, classes, labels, faults)
    refuse(faults)
    listed = tuple(
        _listed(folder, line, path, sides[key][1] == "1") for key, (line, path) in images.items()
    )
    found = counts((image.label, image.official) for image in listed)
    return Listing(listed, check_counts("bird", found, OFFICIAL, settings.subset))


def class_label(name: str) -> str:
    """Species of a raw class name: "001.Black_footed_Albatross" -> "Black Footed Albatross"."""
    words = name.partition(".")[2].replace("_", " ").split()
    return " ".join(word[:1].upper() + word[1:] for word in words)


def class_group(label: str) -> str:
    """Kind of bird that a species is: "Black Footed Albatross" -> "Albatross"."""
    return label.split()[-1]


def _listed(folder: Path, line: int, path: str, is_training: bool) -> ListedImage:
    label = class_label(path.split("/")[0])
    return ListedImage(
        path=path,
        category="bird",
        label=label,
        group=class_group(label),
        official="train" if is_training else "test",
        source=folder / "images" / path,
        where=f"{folder / _IMAGES}:{line}",
    )


def _check_classes(path: Path, classes: Table, faults: list[Fault]) -> None:
    lines: dict[str, int] = {}
    for line, raw in classes.values():
        label = class_label(raw)
        if not label:
            faults.append((path, line, f"{raw!r} is not like 001.Black_footed_Albatross"))
        elif label in lines:
            faults.append((path, line, f"{label} is already in line {lines[label]}"))
        lines.setdefault(label, line)


def _check_paths(folder: Path, images: Table, faults: list[Fault]) -> None:
    path = folder / _IMAGES
    lines: dict[str, int] = {}
    for line, image in images.values():
        parts = image.split("/")
        if len(parts) != 2 or {"", ".", ".."} & set(parts) or "\\" in image:
            faults.append((path, line, f"{image!r} is not <class folder>/<file>"))
        elif image in lines:
            faults.append((path, line, f"{image} is already in line {lines[image]}"))
        elif not (folder / "images" / image).is_file():
            faults.append((path, line, f"{image}: there is no such file below images/"))
        lines.setdefault(image, line)


def _check_rows(
    folder: Path, images: Table, classes: Table, labels: Table, sides: Table, faults: list[Fault]
) -> None:
    """Class and side of each image: the class must be that of its folder."""
    for key in images.keys() & labels.keys():
        path = images[key][1]
        line, class_id = labels[key]
        raw = classes.get(class_id, (0, ""))[1]
        if not raw:
            faults.append((folder / _LABELS, line, f"no class {class_id} in {_CLASSES}"))
        elif raw != path.split("/")[0]:
            faults.append((folder / _LABELS, line, f"class {raw}, but the image is {path}"))
    for line, side in sides.values():
        if side not in ("0", "1"):
            faults.append((folder / _SIDES, line, f"{side!r} is neither 0 nor 1"))


def _check_used(path: Path, classes: Table, labels: Table, faults: list[Fault]) -> None:
    used = {class_id for _, class_id in labels.values()}
    for class_id in classes.keys() - used:
        line, raw = classes[class_id]
        faults.append((path, line, f"no image is of class {raw} in {_LABELS}"))
