"""The file of decisions while people add to it: one line per click, safe against kills.

Lines are only ever added. An `undo` is a line too, so that the file tells all that was done.
"""

import fcntl
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

from pydantic import TypeAdapter, ValidationError

from finer1.records import Decision, read_jsonl


def append_decision(path: Path, decision: Decision) -> None:
    """Add a line, flushed to disk; a failed write leaves the file as it was.

    Raises OSError when the disk takes it not.
    """
    line = json.dumps(asdict(decision), ensure_ascii=False).encode() + b"\n"
    with _held(path) as file:
        size = _end_last_line(file, path)
        try:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        except OSError:
            os.ftruncate(file.fileno(), size)
            raise


def read_decisions(path: Path) -> list[Decision]:
    """All lines; a last one that a kill left unfinished is cut off first, with a warning.

    Raises ValueError naming file and line for any other line that is no decision.
    """
    with _held(path) as file:
        _end_last_line(file, path)
        return read_jsonl(path, Decision)


@contextmanager
def _held(path: Path) -> Iterator[BinaryIO]:
    """The file, for one process at a time; made where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _end_last_line(file: BinaryIO, path: Path) -> int:
    """Make the file end with a whole line; returns its size in bytes."""
    file.seek(0)
    content = file.read()
    size = content.rfind(b"\n") + 1
    rest = content[size:]
    if not rest:
        return size
    if _is_decision(rest):  # whole, by an editor that writes no last newline
        file.write(b"\n")
        file.flush()
        return len(content) + 1
    logging.getLogger(__name__).warning(
        "%s: cut off %d bytes of a decision that was not fully written; make it again",
        path,
        len(rest),
    )
    file.truncate(size)
    return size


def _is_decision(line: bytes) -> bool:
    try:
        TypeAdapter(Decision).validate_json(line)
    except ValidationError:
        return False
    return True
