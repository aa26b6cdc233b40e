"""Oxford Flowers-102: species of flowers, in the layout of its downloads.

imagelabels.mat gives the class of each image, setid.mat the numbers of the training, validation
and test images. The names are those of the Fine-R1 release, as the downloads have none.
Nilsback, Zisserman, ICVGIP 2008.
"""

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
    whole_numbers,
)
from finer1.reference.class_ids import FLOWER_IMAGES, class_names, flower_labels

LAYOUT = "a folder with jpg/, imagelabels.mat and setid.mat"
MARKER = "imagelabels.mat"

OFFICIAL = {
    "images": FLOWER_IMAGES,
    "classes": 102,
    "training images": 1_020,
    "validation images": 1_020,
    "test images": 6_149,
}

# The files whose MD5 are the published e0620be6...ed4d and a5357ecc...fc85c.
_LABELS_SHA256 = "4903e94206bac23bf772aadf06451916df56b58fc483a62db32a97b82656651d"
_SPLIT_SHA256 = "46b8678f91fd95d3c8f4feab80d271a6c834a1dd896fe29fd3e6ad9ce5c8dccd"

_SIDES: dict[str, Side] = {"trnid": "train", "valid": "validation", "tstid": "test"}


def read(folder: Path, settings: OfficialParams) -> Listing:
    """The training, then the validation, then the test images, in the order of setid.mat.

    Raises ValueError with a line for each wrong file or row, and for counts that are not the
    official ones unless `settings.subset`.
    """
    files = [
        MatFile(folder / MARKER, _LABELS_SHA256, ("labels",)),
        MatFile(folder / "setid.mat", _SPLIT_SHA256, tuple(_SIDES)),
    ]
    tables, notes = read_mat_files(files, "flower", settings.subset)
    images = list_images(folder, *tables)
    found = counts((image.label, image.official) for image in images)
    differences = check_counts("flower", found, OFFICIAL, settings.subset)
    return Listing(tuple(images), (*notes, *differences))


def list_images(folder: Path, labels: Table, split: Table) -> list[ListedImage]:
    """The images that the tables name. Raises ValueError with a line for each wrong row."""
    wrong: list[str] = []
    _check_labels(labels, wrong)
    images = [
        image
        for column, side in _SIDES.items()
        for image in _images(split, column, side, folder / "jpg", wrong)
    ]
    check_unique(images, wrong)
    check_files(images, [folder / "jpg"], wrong)
    refuse(wrong)
    return images


def _check_labels(table: Table, wrong: list[str]) -> None:
    """Every image's label against the published one; files that are cut keep the length."""
    check_columns(table, ("labels",))
    official = flower_labels()
    labels = whole_numbers(table, "labels", len(class_names("flower")), wrong)
    for row, (label, known) in enumerate(zip(labels, official, strict=False)):
        if label and label != known:
            wrong.append(
                f"{table.where(row, 'labels')}: {_file(row + 1)} has class {label} "
                f"({class_names('flower')[label - 1]}), officially {known}"
            )
    if len(labels) != len(official):
        wrong.append(f"{table.path}: labels of {len(labels)} images instead of {len(official)}")


def _images(
    table: Table, column: str, side: Side, folder: Path, wrong: list[str]
) -> list[ListedImage]:
    check_columns(table, (column,))
    groups = last_word_groups(class_names("flower"), "flower")
    images = []
    for row, number in enumerate(whole_numbers(table, column, FLOWER_IMAGES, wrong)):
        if not number:
            continue  # told above
        label = class_names("flower")[flower_labels()[number - 1] - 1]
        images.append(
            ListedImage(
                path=_file(number),
                category="flower",
                label=label,
                group=groups[label],
                official=side,
                source=folder / _file(number),
                where=table.where(row, column),
            )
        )
    return images


def _file(number: int) -> str:
    return f"image_{number:05}.jpg"
