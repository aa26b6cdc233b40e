"""Generations of one engine in a file that several processes may add to, line by line."""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO

from finer1 import faults
from finer1.engines.interface import Sample
from finer1.files import disk_full, is_disk_full, write_atomic


class GenerationFile:
    """JSON lines, one per key. A torn last line, the trace of a kill, is cut off."""

    def __init__(self, path: Path) -> None:
        """Read what is there; raises ValueError for a damaged line."""
        self.known: dict[str, list[Sample]] = {}
        """Samples by key."""
        self._path = path
        self._end = 0
        """Bytes read so far, up to the end of a line."""
        self._inode = 0
        """The file that they were read from."""
        self._num_lines = 0
        if path.exists():
            with _locked(path, fcntl.LOCK_SH) as file:
                self._read_on(file)

    def add(self, generations: Mapping[str, list[Sample]]) -> None:
        """Append the generations whose keys are new.

        Of two processes that made the same one, both keep the samples of the one that was first,
        so that they, and whoever comes later, go on with the same.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(self._path, fcntl.LOCK_EX) as file:
            self._read_on(file)
            fresh = {key: item for key, item in generations.items() if key not in self.known}
            lines = "".join(_line(key, samples) for key, samples in fresh.items()).encode()
            self._append(file, lines)
        self._end += len(lines)
        self._num_lines += len(fresh)
        self.known.update(fresh)

    def _append(self, file: IO[bytes], lines: bytes) -> None:
        """Write behind the whole lines; on a full disk nothing of it stays."""
        try:
            file.truncate(self._end)
            file.seek(self._end)
            faults.point("rows:write")
            rest = memoryview(lines)
            while rest:
                rest = rest[file.write(rest) :]
            faults.point("rows:sync")
            os.fsync(file.fileno())  # an answer may have been paid for
        except OSError as error:
            os.ftruncate(file.fileno(), self._end)
            raise disk_full(self._path, len(lines)) if is_disk_full(error) else error from error

    def _read_on(self, file: IO[bytes]) -> None:
        """Take in the whole lines that were added since the last reading."""
        inode = os.fstat(file.fileno()).st_ino
        if inode != self._inode or file.seek(0, 2) < self._end:  # replaced or emptied meanwhile
            self._end, self._num_lines, self._inode = 0, 0, inode
        file.seek(self._end)
        content = file.read()
        lines = content[: content.rfind(b"\n") + 1].splitlines(keepends=True)
        for line in lines:
            self._num_lines += 1
            try:
                key, samples = _parse(line)
                self.known.setdefault(key, samples)
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(
                    f"{self._path}:{self._num_lines}: damaged line; delete this line, not the "
                    "file, to generate its content again"
                ) from error
            self._end += len(line)


@contextmanager
def _locked(path: Path, kind: int) -> Iterator[IO[bytes]]:
    """The file that has the name once it is locked: another may have been put in its place."""
    while True:
        path.touch()
        # Without a buffer, whose content would be written once more when the file is closed.
        with path.open("r+b", buffering=0) as file:
            fcntl.flock(file, kind)
            if _has_name(file, path):
                yield file
                return


def _has_name(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def remove_damaged(path: Path) -> None:
    """Take the damaged lines out; who adds lines at the same time waits and loses none."""
    with _locked(path, fcntl.LOCK_EX):
        wrong = set(damaged_lines(path))
        lines = path.read_bytes().splitlines(keepends=True)
        write_atomic(path, b"".join(x for n, x in enumerate(lines, 1) if n not in wrong))


def damaged_lines(path: Path) -> list[int]:
    """Numbers of the lines, from 1 on, that are not what was written; a torn last one is none."""
    content, wrong = path.read_bytes(), []
    lines = content[: content.rfind(b"\n") + 1].splitlines(keepends=True)
    for number, line in enumerate(lines, 1):
        try:
            _parse(line)
        except (ValueError, KeyError, TypeError):
            wrong.append(number)
    return wrong


def _parse(line: bytes) -> tuple[str, list[Sample]]:
    """Key and samples; raises ValueError, KeyError or TypeError for what was not written so."""
    item = json.loads(line)
    # A line of a store from before has no sum; to make it again would take hours.
    has_sum = set(item) != {"key", "samples"}
    if has_sum and item["sum"] != _sum(item["key"], item["samples"]):
        raise ValueError("the sum is another")
    return item["key"], [Sample(*sample) for sample in item["samples"]]


def _sum(key: str, samples: list[list[object]]) -> str:
    return hashlib.sha256(json.dumps([key, samples]).encode()).hexdigest()[:16]


def _line(key: str, samples: list[Sample]) -> str:
    values = [list(asdict(sample).values()) for sample in samples]
    item = {"key": key, "samples": values, "sum": _sum(key, values)}
    return json.dumps(item, ensure_ascii=False) + "\n"
