"""A dataset of one's own images, as `finer1 data add` makes it.

data/own/<name>/dataset.json     category, and where the images came from
data/own/<name>/index.jsonl      an OwnImage per line
data/own/<name>/images/          the files, by the paths they had; in @corrected those that
                                 `finer1 improve` adds, by their content
"""

import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from finer1.data_params import DownloadParams
from finer1.datasets.interface import ListedImage, Listing
from finer1.files import new_folder, sha256_file, write_json
from finer1.inspection.findings import shown
from finer1.own.paths import checked_path
from finer1.progress import Progress
from finer1.records import read_jsonl, row, write_jsonl

_ABOUT, _INDEX, _IMAGES = "dataset.json", "index.jsonl", "images"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@row
class OwnImage:
    """One image of a dataset of one's own."""

    path: str
    """Below images/, POSIX separators."""
    label: str
    group: str | None
    side: Literal["train", "validation", "test"]
    sha256: str
    """SHA-256 of the file."""


@row
class OwnDataset:
    """What all images of the dataset share."""

    category: str
    """Word for what they show, as questions use it."""
    source: str
    """Name of the folder or table that they were added from."""


@dataclass(frozen=True)
class Addition:
    """A checked image on its way into a dataset."""

    image: ListedImage
    sha256: str


def read(folder: Path) -> Listing:
    """The images of a dataset that `write_dataset` made, in the order of its index.

    Raises ValueError with a line per row that is broken or whose file is not there.
    """
    about = _about(folder)
    index = folder / _INDEX
    if not index.is_file():
        raise ValueError(f"{index} is missing; make the dataset anew by `finer1 data add`")
    root = (folder / _IMAGES).resolve()
    images: list[ListedImage] = []
    wrong: list[str] = []
    lines: dict[str, int] = {}
    for number, item in enumerate(read_jsonl(index, OwnImage), 1):
        where = f"{index}:{number}"
        try:
            source = checked_path(root, root, item.path)
        except ValueError as error:
            wrong.append(f"{where}: {shown(item.path)} {error}")
            continue
        if item.path in lines:
            wrong.append(f"{where}: {shown(item.path)} is already in line {lines[item.path]}")
        lines[item.path] = number
        images.append(
            ListedImage(
                path=item.path,
                category=about.category,
                label=item.label,
                group=item.group,
                official=item.side,
                source=source,
                where=where,
                sha256=item.sha256,
            )
        )
    if wrong:
        raise ValueError("\n".join(wrong))
    if not images:
        raise ValueError(f"{index} holds no row; make the dataset anew by `finer1 data add`")
    return Listing(tuple(images))


def index_rows(folder: Path) -> list[OwnImage]:
    """The rows of the index, whose files may not be there; see read."""
    return read_jsonl(folder / _INDEX, OwnImage)


def write_index(folder: Path, rows: Sequence[OwnImage]) -> None:
    """Put other rows in the place of the index, whole or not at all."""
    write_jsonl(folder / _INDEX, rows)


def image_file(folder: Path, path: str) -> Path:
    """Where the image of a row lies."""
    return folder / _IMAGES / path


def check_name(name: str) -> None:
    """Raises ValueError unless a dataset of one's own can have the name."""
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"--name {name}: write lower-case letters, digits, - and _ only, 64 at most"
        )
    if name in DownloadParams.model_fields:
        raise ValueError(f"--name {name} is taken by the project itself; choose another")


def check_place(folder: Path, replace: bool) -> None:
    """Raises ValueError when a dataset is there that is not to be replaced."""
    if folder.exists() and not replace:
        raise ValueError(
            f"{folder} exists; add --replace to make it anew, or choose another --name"
        )


def write_dataset(
    folder: Path,
    about: OwnDataset,
    additions: Sequence[Addition],
    replace: bool,
    progress: Progress,
) -> None:
    """Copy the images and write the index.

    The folder is there whole or not at all. Raises ValueError when it exists and is not to be
    replaced, or when a file is no longer what was checked; OSError when the disk is full.
    """
    check_place(folder, replace)
    with new_folder(folder) as part:
        rows = []
        for addition in additions:
            image = addition.image
            assert isinstance(image.source, Path), "images in a table have no file"
            target = part / _IMAGES / image.path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(image.source, target)
            if sha256_file(target) != addition.sha256:
                raise ValueError(f"{image.where}: the file changed while it was added; try again")
            rows.append(
                OwnImage(image.path, image.label, image.group, image.official, addition.sha256)
            )
            progress.advance(1)
        write_jsonl(part / _INDEX, rows)
        write_json(part / _ABOUT, asdict(about))


def _about(folder: Path) -> OwnDataset:
    path = folder / _ABOUT
    try:
        return TypeAdapter(OwnDataset).validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError) as error:
        reason = "is missing" if isinstance(error, OSError) else "holds no category and source"
        raise ValueError(f"{path} {reason}; make the dataset anew by `finer1 data add`") from error
