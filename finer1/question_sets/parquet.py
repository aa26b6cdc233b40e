"""Questions in a parquet file, whose images may lie in it.

An image cell is a path, the bytes of a file, or {bytes, path} as the Hugging Face hub has it; or a
list of these. Bytes stay in the file until they are needed: one row group is in memory at a time.
"""

import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any

Place = tuple[int, int]
"""Row, from 0, and place among the images of its cell."""


class ParquetTable:
    """One parquet file."""

    def __init__(self, path: Path) -> None:
        """Raises ValueError when it is none."""
        from pyarrow.parquet import ParquetFile

        self._path = path
        with _readable(path):
            self._file = ParquetFile(path)
        counts = (
            self._file.metadata.row_group(group).num_rows
            for group in range(self._file.num_row_groups)
        )
        self._ends = list(accumulate(counts))
        self._places: dict[str, Place] = {}
        self._column = ""
        self._held: tuple[int, Any] | None = None
        self._lock = threading.Lock()

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self._file.schema_arrow.names)

    def rows(self, image: str) -> list[tuple[int, Mapping[str, object]]]:
        """Every row with its number from 1, the cell in the column `image` replaced by names.

        The name of an image that lies in the file is `row<number>`, and its path where it has one.
        """
        self._column = image
        found: list[tuple[int, Mapping[str, object]]] = []
        with _readable(self._path):
            for batch in self._file.iter_batches(batch_size=64):
                for row in batch.to_pylist():
                    number = len(found) + 1
                    found.append((number, row | {image: self._names(number, row[image])}))
        if not found:
            raise ValueError(f"{self._path} has no row; write one per question")
        return found

    def pictures(self, files: Callable[[str], bytes]) -> Callable[[str], bytes]:
        """Reads an image by its name; `files` reads those that are files."""

        def read(name: str) -> bytes:
            place = self._places.get(name)
            return files(name) if place is None else self._bytes(place)

        return read

    def _names(self, number: int, cell: object) -> list[object]:
        names: list[object] = []
        for place, item in enumerate(_items(cell)):
            content, path = _parts(item)
            if content is None:
                names.append(path)
                continue
            ending = f".{place + 1}" if place else ""
            name = "/".join(filter(None, (f"row{number}{ending}", path)))
            self._places[name] = number - 1, place
            names.append(name)
        return names

    def _bytes(self, place: Place) -> bytes:
        row, item = place
        group = bisect_right(self._ends, row)
        with self._lock, _readable(self._path):
            if self._held is None or self._held[0] != group:
                table = self._file.read_row_group(group, columns=[self._column])
                self._held = group, table.column(self._column)
            start = self._ends[group - 1] if group else 0
            cell = self._held[1][row - start].as_py()
        content, _ = _parts(_items(cell)[item])
        assert content is not None
        return content


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Raise ValueError for what pyarrow says of a file that is damaged or no parquet."""
    import pyarrow

    try:
        yield
    except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError, OSError) as error:
        if getattr(error, "errno", None):
            raise  # the machine's trouble, not the file's
        raise ValueError(f"{path} is no readable parquet file ({error})") from error


def _items(cell: object) -> Sequence[object]:
    is_one = isinstance(cell, (str, bytes, Mapping)) or not isinstance(cell, Iterable)
    return [cell] if is_one else list(cell)  # type: ignore[call-overload]


def _parts(item: object) -> tuple[bytes | None, Any]:
    """Content and path; either may be None."""
    if isinstance(item, Mapping):
        return item.get("bytes"), item.get("path")
    return (item, None) if isinstance(item, bytes) else (None, item)
