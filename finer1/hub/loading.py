"""Hub copies through `datasets`: loading, which column is what, and the rows.

No code of a copy is run (`datasets` has no way to), and images stay the bytes they are.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from finer1.data_params import LOCAL
from finer1.datasets.interface import Side

SIDES: dict[str, Side] = {
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
}
"""Names of splits -> side."""

_LABEL_COLUMNS = ("label", "labels", "class", "fine_label", "variant", "breed", "species")
"""Names by which the sub-category's column is known; the first that is there counts."""

_KINDS = {b"\xff\xd8": ".jpg", b"\x89PNG": ".png", b"GIF8": ".gif", b"RIFF": ".webp", b"BM": ".bmp"}
"""First bytes of an image file -> suffix."""

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,149}\.(jpg|jpeg|png|gif|webp|bmp)", re.I)


def find_copy(dataset: str, copy: str) -> tuple[str, str | None]:
    """What `datasets` loads, and at which revision; None for a local folder."""
    if copy.startswith(LOCAL):
        if not Path(copy).is_dir():
            raise ValueError(f"download.{dataset}.source: hub:{copy}: there is no such folder")
        return str(Path(copy).resolve()), None
    name, _, revision = copy.rpartition("@")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name) or not re.fullmatch(r"[0-9a-f]{40}", revision):
        raise ValueError(
            f"download.{dataset}.source: hub:{copy} is neither a folder (/... or ./...) nor a copy "
            "at a commit; write hub:<owner>/<name>@<commit>, the commit with its 40 hex digits, as "
            "its page on the hub shows it under Files, History"
        )
    return name, revision


def load_splits(copy: str, path: str, revision: str | None, cache: Path) -> Mapping[str, Any]:
    """Split -> its rows (datasets.Dataset), images as bytes.

    Raises ValueError when it is no data set that can be loaded, OSError when the hub cannot be
    reached.
    """
    from datasets import Image, load_dataset, load_dataset_builder
    from datasets.exceptions import DatasetGenerationError, DatasetsError
    from httpx import HTTPError

    where = {"path": path, "revision": revision, "cache_dir": str(cache)}
    try:
        splits = load_dataset(**where)
        files = load_dataset_builder(**where).config.data_files or {}
        for file in (file for every in files.values() for file in every):
            _check_label_names(copy, str(file), next(iter(splits.values())).features)
    except (DatasetsError, ValueError, RuntimeError) as error:
        cause = error.__cause__ if isinstance(error, DatasetGenerationError) else error
        if isinstance(cause, OSError) and not isinstance(cause, DatasetsError):
            raise OSError(f"hub copy {copy}: {cause}") from error  # disk full, cut connection
        reason = " ".join(str(cause).split())
        raise ValueError(f"hub copy {copy}: it cannot be loaded as it is: {reason}") from error
    except (OSError, HTTPError) as error:
        raise OSError(
            f"hub copy {copy}: it cannot be fetched ({' '.join(str(error).split())}); is there a "
            "connection, and HF_HUB_OFFLINE not 1? A copy fetched elsewhere is named by its "
            "folder: hub:<folder>"
        ) from error
    column = _image_column(copy, next(iter(splits.values())).features)
    return {name: split.cast_column(column, Image(decode=False)) for name, split in splits.items()}


def _check_label_names(copy: str, file: str, features: Mapping[str, Any]) -> None:
    """Refuse a file whose labels are numbered otherwise than the ones of the first file.

    `datasets` takes the names of the first file (or of the card) for all of them.
    """
    import fsspec
    from datasets import ClassLabel, Features
    from pyarrow import parquet

    if not file.endswith(".parquet"):
        return
    with fsspec.open(file, "rb") as opened:
        own = Features.from_arrow_schema(parquet.read_schema(opened))
    for column, feature in own.items():
        if not isinstance(feature, ClassLabel):
            continue
        if feature.names != getattr(features.get(column), "names", None):
            raise ValueError(
                f"{file}: the classes of column {column} are in another order than in the other "
                "files, so that the labels of one of them would be read wrongly; take another copy"
            )


def _image_column(copy: str, features: Mapping[str, Any]) -> str:
    from datasets import Image

    columns = [name for name, feature in features.items() if isinstance(feature, Image)]
    if len(columns) != 1:
        raise ValueError(
            f"hub copy {copy}: one column must hold the images, and {len(columns)} do, of "
            f"{', '.join(features)}; take another copy"
        )
    return columns[0]


def _label_column(copy: str, features: Mapping[str, Any]) -> str:
    from datasets import ClassLabel, Value

    named, integers = [], []
    for name, feature in features.items():
        kind = feature.dtype if isinstance(feature, Value) else ""
        if isinstance(feature, ClassLabel) or kind in ("string", "large_string"):
            named.append(name)
        elif "int" in kind:
            integers.append(name)
    known = [name for name in _LABEL_COLUMNS if name in named]
    if known or (len(named) == 1 and not set(integers) & set(_LABEL_COLUMNS)):
        return (known or named)[0]
    if not named or set(integers) & set(_LABEL_COLUMNS):
        raise ValueError(
            f"hub copy {copy}: its labels are integers without names (column "
            f"{' or '.join(integers) or 'none'} of {', '.join(features)}), and their order is not "
            "known; take a copy that has the names, or the official source"
        )
    raise ValueError(
        f"hub copy {copy}: any of the columns {', '.join(named)} may be the class; take a copy "
        f"whose class column is named {', '.join(_LABEL_COLUMNS[:-1])} or {_LABEL_COLUMNS[-1]}"
    )


def class_names(copy: str, splits: Mapping[str, Any]) -> dict[str, list[str]]:
    """Split -> the class name of each row, as the copy has it.

    Raises ValueError when the column is not clear, its integers have no names, or a row no class.
    """
    column = _label_column(copy, next(iter(splits.values())).features)
    return {name: _split_classes(copy, name, split, column) for name, split in splits.items()}


def declared_names(copy: str, splits: Mapping[str, Any]) -> list[str]:
    """All names that the class column declares, used or not; none for a column of strings."""
    features = next(iter(splits.values())).features
    return list(getattr(features[_label_column(copy, features)], "names", ()))


def _split_classes(copy: str, name: str, split: Any, column: str) -> list[str]:
    """The class name of each row of a split."""
    from datasets import ClassLabel

    feature = split.features[column]
    values = list(split[column])
    if isinstance(feature, ClassLabel):
        count = len(feature.names)
        values = [feature.names[v] if v is not None and 0 <= v < count else None for v in values]
    empty = [number for number, value in enumerate(values) if not value]
    if empty:
        raise ValueError(
            f"hub copy {copy}: split {name}, row {empty[0]}: no class in column {column} (so in "
            f"{len(empty)} rows of {len(values)}); take a copy with labels for every split"
        )
    return values


def readable_roots(path: str, revision: str | None, cache: Path) -> tuple[Path, ...]:
    """Folders whose files rows of a copy may name: its own, or those of what was downloaded."""
    from huggingface_hub.constants import HF_HUB_CACHE

    own = Path(path) if revision is None else Path(HF_HUB_CACHE)
    return own.resolve(), cache.resolve()


def contents(
    copy: str, name: str, split: Any, roots: Sequence[Path]
) -> Iterator[tuple[str, bytes]]:
    """File name and bytes of each row; the copy's own file names where they are file names.

    A row that names a file instead of holding bytes is followed below the `roots` only: nothing
    else on this machine is to end in a dataset. Raises ValueError for other rows without an image.
    """
    column = _image_column(copy, split.features)
    taken: set[str] = set()
    for number, row in enumerate(split.select_columns(column)):
        value = row[column] or {}
        own, content = value.get("path"), value.get("bytes")
        where = f"hub copy {copy}: split {name}, row {number}"
        if content is None and own:
            place = Path(own).resolve()
            if not any(place.is_relative_to(root) for root in roots):
                raise ValueError(
                    f"{where}: it names the file {own!r}, which does not lie in the copy; take a "
                    "copy that holds its images"
                )
            content = place.read_bytes() if place.is_file() else None
        if not content:
            raise ValueError(f"{where}: there is no image")
        file = Path(own or "").name
        if not _FILE_NAME.fullmatch(file) or file.casefold() in taken:
            suffix = next((s for start, s in _KINDS.items() if content.startswith(start)), ".img")
            file = f"row-{number:06}{suffix}"
        taken.add(file.casefold())
        yield file, content


def check_splits(dataset: str, copy: str, splits: Mapping[str, Any]) -> None:
    """Raise ValueError unless the splits are train and test, and perhaps validation."""
    there = ", ".join(f"{name} ({len(split)} images)" for name, split in splits.items())
    sides = [SIDES.get(name) for name in splits]
    if None in sides or len(set(sides)) != len(sides) or not {"train", "test"} <= set(sides):
        raise ValueError(
            f"hub copy {copy}: it has the splits {there}; there must be train and test, perhaps "
            f"validation, and no other, or test images would be trained on; take another copy, or "
            f"set download.{dataset}.source to official"
        )
