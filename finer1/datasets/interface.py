"""What a dataset reader gives; a reader is found by its module's name.

A module `finer1/datasets/<name>.py` has

    read(root: Path | None, settings: DownloadParams) -> Iterator[tuple[ImageRecord, bytes]]

which yields each image's row and file content in a fixed order, and raises ValueError, naming
file and row, for whatever is missing or broken. `root` is the folder in the dataset's official
layout, None for a dataset that needs none. A reader that needs one says what it must hold in

    LAYOUT: str
"""

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from finer1.data_params import DownloadParams
from finer1.records import ImageRecord


def find_reader(dataset: str) -> ModuleType:
    """The reader's module.

    Raises ValueError when there is none of this name.
    """
    name = f"finer1.datasets.{dataset}"
    try:
        reader = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if not name.startswith(str(error.name)):
            raise  # the reader is there, and a package that it imports is not
        reader = None
    if reader is None or not hasattr(reader, "read"):
        raise ValueError(f"download.dataset: there is no reader finer1/datasets/{dataset}.py")
    return reader


def folder_layout(dataset: str) -> str | None:
    """What the folder of the dataset must hold; None for one that is read from no folder."""
    return getattr(find_reader(dataset), "LAYOUT", None)


def read_dataset(
    root: Path | None, settings: DownloadParams
) -> Iterator[tuple[ImageRecord, bytes]]:
    """The images of the dataset that `settings` names."""
    return find_reader(settings.dataset).read(root, settings)
