"""A file of what people decide, while they add to it: one line per click, safe against kills.

Lines are only ever added. What takes a decision back is a line too, so that the file tells all that
was done.
"""

import fcntl
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from finer1.records import Row, read_jsonl


def append_row(path: Path, item: object) -> None:
    """Add a row as a line, flushed to disk; a failed write leaves the file as it was.

    Raises OSError when the disk takes it not.
    """
    kind = type(item)
    text = json.dumps(TypeAdapter(kind).dump_python(item), ensure_ascii=False)
    line = text.encode() + b"\n"
    with _held(path) as file:
        size, ends_line = _cut_off_torn_line(file, path, kind)
        rest = line if ends_line else b"\n" + line
        try:
            while rest:
                rest = rest[os.write(file, rest) :]
            os.fsync(file)
        except BaseException:
            os.ftruncate(file, size)
            raise


def read_rows(path: Path, kind: type[Row]) -> list[Row]:
    """All lines; a last one that a kill left unfinished is cut off first, with a warning.

    Raises ValueError naming file and line for any other line that is no such row.
    """
    with _held(path) as file:
        _cut_off_torn_line(file, path, kind)
        return read_jsonl(path, kind)


@contextmanager
def _held(path: Path) -> Iterator[int]:
    """Descriptor of the file, for one process at a time; made where there is none.

    Without a buffer, whose content would be written once more when it is closed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file
    finally:
        os.close(file)


def _cut_off_torn_line(file: int, path: Path, kind: type) -> tuple[int, bool]:
    """Leave whole lines only; returns the size in bytes, and whether the last one is ended."""
    content = path.read_bytes()
    size = content.rfind(b"\n") + 1
    rest = content[size:]
    if not rest:
        return size, True
    if _is_row(rest, kind):  # whole, by an editor that writes no last newline
        return len(content), False
    logging.getLogger(__name__).warning(
        "%s: cut off %d bytes of a line that was not fully written; decide that again",
        path,
        len(rest),
    )
    os.ftruncate(file, size)
    return size, True


def _is_row(line: bytes, kind: type) -> bool:
    try:
        TypeAdapter(kind).validate_json(line)
    except ValidationError:
        return False
    return True
