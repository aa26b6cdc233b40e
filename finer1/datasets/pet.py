"""Oxford-IIIT Pet: 37 breeds of cats and dogs in the layout of its archives.

Lines "name class species breed" in annotations/trainval.txt, test.txt and list.txt (all of them,
below header lines with #); images/<name>.jpg, where the name is <Breed>_<number> and begins with
a capital for cats. Other files in images/ are no part of the dataset: three .mat files and 41
images lie there that no list names. Parkhi, Vedaldi, Zisserman, Jawahar, CVPR 2012.
"""

import re
from pathlib import Path

from finer1.data_params import OfficialParams
from finer1.datasets.interface import ListedImage, Listing, Side, check_counts, counts
from finer1.datasets.tables import (
    Fault,
    Table,
    check_keys,
    read_table,
    refuse,
    refuse_missing,
    usual_values,
)
from finer1.reference.classes import released_classes

LAYOUT = "a folder with images/ and annotations/{list,trainval,test}.txt"

MARKER = "annotations/trainval.txt"

OFFICIAL = {"images": 7_349, "classes": 37, "training images": 3_680}

_LIST = "annotations/list.txt"
_SIDES: dict[str, Side] = {MARKER: "train", "annotations/test.txt": "test"}

_CATS = frozenset(
    (
        "Abyssinian",
        "Bengal",
        "Birman",
        "Bombay",
        "British Shorthair",
        "Egyptian Mau",
        "Maine Coon",
        "Persian",
        "Ragdoll",
        "Russian Blue",
        "Siamese",
        "Sphynx",
    )
)


def read(folder: Path, settings: OfficialParams) -> Listing:
    """Every image, training ones first, in the order of the files.

    Raises ValueError with a line for each wrong row of the files and each missing image, or with
    the difference from the official counts.
    """
    refuse_missing(folder, (_LIST, *_SIDES))
    faults: list[Fault] = []
    tables = {name: read_table(folder / name, faults) for name in (_LIST, *_SIDES)}
    for name, table in tables.items():
        _check_rows(folder / name, table, faults)
    _check_list(folder, tables, faults)
    for name in _SIDES:
        for key, (line, _) in tables[name].items():
            if not (folder / "images" / f"{key}.jpg").is_file():
                faults.append((folder / name, line, f"there is no images/{key}.jpg"))
    refuse(faults)
    listed = tuple(
        _listed(folder, name, key, line, side)
        for name, side in _SIDES.items()
        for key, (line, _) in tables[name].items()
    )
    found = counts((image.label, image.official) for image in listed)
    return Listing(listed, check_counts("pet", found, OFFICIAL, settings.subset))


def class_label(stem: str) -> str:
    """Breed of a file's stem: "american_bulldog_100" -> "American Bulldog"."""
    words = stem.rpartition("_")[0].replace("_", " ").split()
    return " ".join(word[:1].upper() + word[1:] for word in words)


def class_group(label: str) -> str:
    """ "cat" or "dog"."""
    return "cat" if label in _CATS else "dog"


def _listed(folder: Path, name: str, key: str, line: int, side: Side) -> ListedImage:
    label = class_label(key)
    return ListedImage(
        path=f"{key}.jpg",
        category="pet",
        label=label,
        group=class_group(label),
        official=side,
        source=folder / "images" / f"{key}.jpg",
        where=f"{folder / name}:{line}",
    )


def _check_rows(path: Path, table: Table, faults: list[Fault]) -> None:
    """Class id, species and breed id of each row are those of the breed in its name."""
    # Class ids count the breeds in the order of their names, 1 to 37.
    class_ids = {label: n for n, label in enumerate(sorted(released_classes("pet")), 1)}
    breeds = usual_values(
        (class_label(key), value.split()[-1]) for key, (_, value) in table.items()
    )
    for key, (line, value) in table.items():
        label = class_label(key)
        numbers = value.split()
        if not re.fullmatch(r"[A-Za-z_]+_[0-9]+", key):
            faults.append((path, line, f"{key!r} is not <Breed>_<number>"))
        elif label not in class_ids:
            faults.append((path, line, f"{key}: no breed {label} in the dataset"))
        elif len(numbers) != 3:
            faults.append((path, line, f"'{key} {value}' is not 'name class species breed'"))
        else:
            species = "1" if class_group(label) == "cat" else "2"
            expected = (str(class_ids[label]), species, breeds[label])
            for word, number, right in zip(
                ("class", "species", "breed"), numbers, expected, strict=True
            ):
                if number != right:
                    what = f"{key}: {word} {number}, but {label} has {word} {right}"
                    faults.append((path, line, what))


def _check_list(folder: Path, tables: dict[str, Table], faults: list[Fault]) -> None:
    """trainval.txt and test.txt share list.txt out between them, with the same values."""
    train, test = (tables[name] for name in _SIDES)
    test_path = folder / "annotations/test.txt"
    for key in train.keys() & test.keys():
        faults.append((test_path, test[key][0], f"{key} is already in {MARKER}:{train[key][0]}"))
    check_keys(folder / _LIST, tables[_LIST], {**train, **test}, "trainval.txt or test.txt", faults)
    for name in _SIDES:
        check_keys(folder / name, tables[name], tables[_LIST], _LIST, faults)
        for key in tables[name].keys() & tables[_LIST].keys():
            line, value = tables[name][key]
            other_line, other = tables[_LIST][key]
            if value.split() != other.split():
                what = f"{key} is {value}, but {other} in {_LIST}:{other_line}"
                faults.append((folder / name, line, what))
