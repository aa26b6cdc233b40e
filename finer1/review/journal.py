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

from pydantic import TypeAdapter, ValidationError

from finer1.records import Decision, read_jsonl


def append_decision(path: Path, decision: Decision) -> None:
    """Add a line, flushed to disk; a failed write leaves the file as it was.

    Raises OSError when the disk takes it not.
    """
    line = json.dumps(asdict(decision), ensure_ascii=False).encode() + b"\n"
    with _held(path) as file:
        size, ends_line = _cut_off_torn_line(file, path)
        rest = line if ends_line else b"\n" + line
        try:
            while rest:
                rest = rest[os.write(file, rest) :]
            os.fsync(file)
        except BaseException:
            os.ftruncate(file, size)
            raise


def read_decisions(path: Path) -> list[Decision]:
    """All lines; a last one that a kill left unfinished is cut off first, with a warning.

    Raises ValueError naming file and line for any other line that is no decision.
    """
    with _held(path) as file:
        _cut_off_torn_line(file, path)
        return read_jsonl(path, Decision)


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


def _cut_off_torn_line(file: int, path: Path) -> tuple[int, bool]:
    """Leave whole lines only; returns the size in bytes, and whether the last one is ended."""
    content = path.read_bytes()
    size = content.rfind(b"\n") + 1
    rest = content[size:]
    if not rest:
        return size, True
    if _is_decision(rest):  # whole, by an editor that writes no last newline
        return len(content), False
    logging.getLogger(__name__).warning(
        "%s: cut off %d bytes of a decision that was not fully written; make it again",
        path,
        len(rest),
    )
    os.ftruncate(file, size)
    return size, True


def _is_decision(line: bytes) -> bool:
    try:
        TypeAdapter(Decision).validate_json(line)
    except ValidationError:
        return False
    return True
