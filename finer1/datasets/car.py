"""Stanford Cars-196: makes, models and years of cars, in the layout of its archives.

devkit/cars_meta.mat names the classes, devkit/cars_train_annos.mat and
cars_test_annos_withlabels.mat give the class of each image. Training and test images have the
same file names, so paths keep the folder. Krause, Stark, Deng, Fei-Fei, 3dRR 2013.
"""

import re
from pathlib import Path

from finer1.data_params import OfficialParams
from finer1.datasets.interface import ListedImage, Listing, Side, check_counts, counts
from finer1.datasets.listed_files import check_files, check_unique
from finer1.datasets.matlab import (
    MatFile,
    Table,
    check_columns,
    read_mat_files,
    refuse,
    texts,
    whole_numbers,
)
from finer1.reference.class_ids import class_names, is_car_of

LAYOUT = (
    "a folder with cars_train/, cars_test/, devkit/cars_meta.mat, devkit/cars_train_annos.mat "
    "and cars_test_annos_withlabels.mat"
)
MARKER = "devkit/cars_meta.mat"

OFFICIAL = {
    "images": 16_185,
    "classes": 196,
    "training images": 8_144,
    "test images": 8_041,
}

_META_SHA256 = "fe43dfda289448f97c25b09e09fafc0414e22fc4143831537780884a0a5f4a1a"
_TRAIN_SHA256 = "1c1973dd828a2964060b0bbc0e423466393fe3001a3f8e303f41fbf22067dfb1"
_TEST_SHA256 = "790f75be8ea34eeded134cc559332baf23e30e91367e9ddca97d26ed9b895f05"
_TEST_FILE = "cars_test_annos_withlabels.mat"

_UNCHECKED = (
    "car: the images came from a folder, so that their file names were compared with the tables, "
    "and what they show with nothing; in a copy that renamed its images the labels are wrong"
)

_FILE = re.compile(r"[A-Za-z0-9_-]+\.jpg")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ./-]*")
_LONG_MAKERS = ("AM General", "Aston Martin", "Land Rover")


def read(folder: Path, settings: OfficialParams) -> Listing:
    """The training images, then the test images, in the order of the annotation files.

    Raises ValueError with a line for each wrong file or row, and for counts that are not the
    official ones unless `settings.subset`.
    """
    files = [
        MatFile(folder / MARKER, _META_SHA256, ("class_names",)),
        MatFile(folder / "devkit" / "cars_train_annos.mat", _TRAIN_SHA256, ("annotations",)),
        MatFile(_labelled_test_file(folder), _TEST_SHA256, ("annotations",)),
    ]
    tables, notes = read_mat_files(files, "car", settings.subset)
    images = list_images(folder, *tables)
    found = counts((image.label, image.official) for image in images)
    differences = check_counts("car", found, OFFICIAL, settings.subset)
    unchecked = (_UNCHECKED,) if settings.source == "folder" else ()
    return Listing(tuple(images), (*notes, *differences, *unchecked))


def list_images(folder: Path, meta: Table, train: Table, test: Table) -> list[ListedImage]:
    """The images that the tables name. Raises ValueError with a line for each wrong row."""
    wrong: list[str] = []
    _check_names(meta, wrong)
    sides = [_image_folder(folder, side) for side in ("cars_train", "cars_test")]
    images = [
        *_images(train, sides[0], "train", wrong),
        *_images(test, sides[1], "test", wrong),
    ]
    check_unique(images, wrong)
    check_files(images, sides, wrong)
    refuse(wrong)
    return images


def maker(label: str) -> str:
    """The maker of a class: "Aston Martin Virage Coupe 2012" -> "Aston Martin"."""
    for name in _LONG_MAKERS:
        if label.startswith(f"{name} "):
            return name
    return label.split()[0]


def _labelled_test_file(folder: Path) -> Path:
    for path in (folder / _TEST_FILE, folder / "devkit" / _TEST_FILE):
        if path.is_file():
            return path
    raise ValueError(
        f"{folder / _TEST_FILE}: the file is missing; devkit/cars_test_annos.mat, which comes with "
        "most copies, has no labels, and the page that had them is gone: "
        "https://github.com/pytorch/vision/issues/7545#issuecomment-1631441616 says where the "
        f"labelled file is had (185,758 bytes, SHA-256 {_TEST_SHA256})"
    )


def _image_folder(folder: Path, side: str) -> Path:
    """The folder of the images themselves; the copy on Kaggle has it twice, nested."""
    nested = folder / side / side
    return nested if nested.is_dir() else folder / side


def _check_names(meta: Table, wrong: list[str]) -> None:
    check_columns(meta, ("class_names",))
    official = class_names("car")
    names = texts(meta, "class_names", _NAME, "'Audi A5 Coupe 2012'", wrong)
    for row, name in enumerate(names):
        expected = official[row] if row < len(official) else None
        if name and name != expected:
            wrong.append(f"{meta.where(row)}: class {row + 1} is {name}, officially {expected}")
    for row in range(len(names), len(official)):
        wrong.append(f"{meta.where(row)}: class {row + 1} is missing, officially {official[row]}")


def _images(table: Table, folder: Path, official: Side, wrong: list[str]) -> list[ListedImage]:
    columns = ("annotations.fname", "annotations.class")
    check_columns(table, columns)
    names = texts(table, columns[0], _FILE, "'00001.jpg'", wrong)
    labels = whole_numbers(table, columns[1], len(class_names("car")), wrong)
    images = []
    for row, (name, label) in enumerate(zip(names, labels, strict=True)):
        if not name or not label:
            continue  # told above
        path = f"cars_{official}/{name}"
        text = class_names("car")[label - 1]
        if is_car_of(path, label) is False:
            wrong.append(f"{table.where(row)}: {path} is officially not of class {label} ({text})")
        images.append(
            ListedImage(
                path=path,
                category="car",
                label=text,
                group=maker(text),
                official=official,
                source=folder / name,
                where=table.where(row),
            )
        )
    return images
