"""Stanford Dogs-120: breeds of dogs, in the layout of its archives (images.tar, lists.tar).

train_list.mat and test_list.mat give the path below Images/ and the class of each image; the
class's folder is WordNet id and breed. Khosla, Jayadevaprakash, Yao, Fei-Fei, FGVC 2011.
"""

import re
from pathlib import Path

from finer1.data_params import OfficialParams
from finer1.datasets.interface import ListedImage, Listing, Side, check_counts, counts
from finer1.datasets.listed_files import check_files, check_unique, last_word_groups
from finer1.datasets.matlab import (
    MatFile,
    Table,
    check_columns,
    read_mat_files,
    refuse,
    texts,
    whole_numbers,
)
from finer1.reference.class_ids import class_names

LAYOUT = "a folder with Images/, train_list.mat and test_list.mat"
MARKER = "train_list.mat"

OFFICIAL = {
    "images": 20_580,
    "classes": 120,
    "training images": 12_000,
    "test images": 8_580,
}

_TRAIN_SHA256 = "b5e2f123a93cf05cbe4f45519b5947d217825aea7321b10a80fe8ac677b6560e"
_TEST_SHA256 = "eee204bd000b681b4adc4cb31e957ab4143d87e4b6ef849f12bb46a268ae6c4b"
_ALL_SHA256 = "34ac444f8b4dd7b03228255b2ee4d8ce4c45e6bed75339d29543f4f6a6ebdd84"
"""Of the members of lists.tar, whose own SHA-256 is the official 34b47cac...d6c."""

_COLUMNS = ("file_list", "labels")
_FILE = re.compile(r"(n[0-9]{8}-[A-Za-z_-]+)/n[0-9]{8}_[0-9]+\.jpg")
_EXAMPLE = "'n02085620-Chihuahua/n02085620_5927.jpg'"


def read(folder: Path, settings: OfficialParams) -> Listing:
    """The training images, then the test images, in the order of the lists.

    file_list.mat, where it is there, must name the same images with the same classes. Raises
    ValueError with a line for each wrong file or row, and for counts that are not the official
    ones unless `settings.subset`.
    """
    files = [
        MatFile(folder / MARKER, _TRAIN_SHA256, _COLUMNS),
        MatFile(folder / "test_list.mat", _TEST_SHA256, _COLUMNS),
    ]
    whole = MatFile(folder / "file_list.mat", _ALL_SHA256, _COLUMNS)
    if whole.path.is_file():
        files.append(whole)
    tables, notes = read_mat_files(files, "dog", settings.subset)
    images = list_images(folder, *tables)
    found = counts((image.label, image.official) for image in images)
    differences = check_counts("dog", found, OFFICIAL, settings.subset)
    return Listing(tuple(images), (*notes, *differences))


def list_images(
    folder: Path, train: Table, test: Table, every: Table | None = None
) -> list[ListedImage]:
    """The images that the tables name. Raises ValueError with a line for each wrong row."""
    wrong: list[str] = []
    images = [
        *_images(train, folder / "Images", "train", wrong),
        *_images(test, folder / "Images", "test", wrong),
    ]
    check_unique(images, wrong)
    if every is not None and not wrong:
        _check_same_images(_images(every, folder / "Images", "train", wrong), images, every, wrong)
    check_files(images, [folder / "Images"], wrong)
    refuse(wrong)
    return images


def class_label(folder: str) -> str:
    """Breed of a folder, as the release writes it: "n02108000-EntleBucher" -> "Entlebucher"."""
    words = re.split(r"[-_]+", folder.partition("-")[2])
    return " ".join(word.capitalize() for word in words)


def _images(table: Table, folder: Path, official: Side, wrong: list[str]) -> list[ListedImage]:
    check_columns(table, _COLUMNS)
    groups = last_word_groups(map(class_label, class_names("dog")), "dog")
    paths = texts(table, "file_list", _FILE, _EXAMPLE, wrong)
    labels = whole_numbers(table, "labels", len(class_names("dog")), wrong)
    images = []
    for row, (path, label) in enumerate(zip(paths, labels, strict=True)):
        if not path or not label:
            continue  # told above
        below, _, name = path.partition("/")
        expected = class_names("dog")[label - 1]
        if below != expected:
            wrong.append(f"{table.where(row)}: {path} has class {label}, which is {expected}")
        elif not name.startswith(f"{below.partition('-')[0]}_"):
            wrong.append(f"{table.where(row)}: {path} lies in the folder of another class")
        label_text = class_label(expected)
        images.append(
            ListedImage(
                path=path,
                category="dog",
                label=label_text,
                group=groups[label_text],
                official=official,
                source=folder / path,
                where=table.where(row),
            )
        )
    return images


def _check_same_images(
    every: list[ListedImage], images: list[ListedImage], table: Table, wrong: list[str]
) -> None:
    check_unique(every, wrong)
    listed = {image.path for image in images}
    for image in every:
        if image.path not in listed:
            wrong.append(f"{image.where}: {image.path} is in neither train_list nor test_list")
    named = {image.path for image in every}
    for image in images:
        if image.path not in named:
            wrong.append(f"{image.where}: {image.path} is not in {table.path.name}")
