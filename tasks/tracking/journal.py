"""The journal of one run: a folder with a line per record and the files that records name.

    logs/tracking/<time>-<name>-<key>/
        journal.jsonl   {"kind": "start", ...}, then metrics, artifacts, ..., {"kind": "end", ...}
        files/          attachments: tables, images, copies of files
        sent.json       which store has how many of the lines
        lock            held by the process that writes or sends it

A line is written whole or not at all: a last line that a kill left torn is cut. One process at a
time holds a journal, and a kill lets go of it.
"""

import fcntl
import json
import os
import re
import shutil
import threading
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from finer1.files import write_json

FOLDER = Path("logs/tracking")
_LINES, _FILES, _SENT, _LOCK = "journal.jsonl", "files", "sent.json", "lock"
_NEW, _DONE = ".new-", ".done-"
_BIRTH_S = 60.0
"""Within it a new journal has its lock and appears."""
_ODD = re.compile(r"[^\w.-]+", re.ASCII)

Entry = dict[str, Any]


def journals_folder(root: Path) -> Path:
    """Where the journals of the project at `root` are, or of the one that `root` is a copy of."""
    return Path(os.environ.get("FINER1_HOME") or root).absolute() / FOLDER


class Journal:
    """A journal that this process holds."""

    def __init__(self, folder: Path, lock: IO[str]) -> None:
        """`lock`: open, and locked by `_locked`."""
        self.folder = folder
        self._lock = lock
        self._mutex = threading.Lock()
        self._num_files = 0
        self._offset = 0
        self._boot = time.time() - time.monotonic()
        cut_torn_line(folder / _LINES)

    def now(self) -> int:
        """Unix time in ms, as if the clock had not stepped since this process has the journal.

        MLflow takes the end of a run less its start for its duration.
        """
        return int((self._boot + time.monotonic()) * 1000)

    def append(self, kind: str, **content: object) -> None:
        """Add one record, with the time; several threads may.

        Raises OSError when it cannot be written; the records before it stay whole then.
        """
        entry = {"kind": kind, "time": self.now(), **content}
        line = json.dumps(entry, default=str) + "\n"
        path = self.folder / _LINES
        with self._mutex:
            start = path.stat().st_size if path.exists() else 0
            try:
                with path.open("a", encoding="utf-8") as file:
                    file.write(line)
            except OSError:
                with suppress(OSError):  # A full disk takes the beginning of a line.
                    os.truncate(path, start)
                raise

    def new_file(self, name: str) -> Path:
        """A path for an attachment that ends with `name`; records hold it relative to `folder`."""
        with self._mutex:
            self._num_files += 1
            number = self._num_files
        path = self.folder / _FILES / f"{number:06d}" / name
        path.parent.mkdir(parents=True)
        return path

    def attach(self, path: Path) -> str:
        """Copy a file or folder; returns what records call it."""
        copy = self.new_file(path.name)
        if path.is_dir():
            shutil.copytree(path, copy)
        else:
            shutil.copyfile(path, copy)
        return self.name_of(copy)

    def name_of(self, path: Path) -> str:
        """What records call an attachment."""
        return path.relative_to(self.folder).as_posix()

    def read(self) -> list[Entry]:
        """The whole records since the last call, in order; of one thread alone."""
        with self._mutex, (self.folder / _LINES).open("rb") as file:
            file.seek(self._offset)
            content = file.read()
            content = content[: content.rfind(b"\n") + 1]
            entries = [json.loads(line) for line in content.splitlines()]
            self._offset += len(content)
        return entries

    def rewind(self) -> None:
        """Let `read` begin with the first record again."""
        self._offset = 0

    def read_sent(self) -> dict[str, Any]:
        """What write_sent wrote last; empty before, or when it is unreadable."""
        try:
            return dict(json.loads((self.folder / _SENT).read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError):
            return {}  # All is sent once more, which changes nothing.

    def write_sent(self, sent: Mapping[str, object]) -> None:
        """Remember how far the records have come."""
        write_json(self.folder / _SENT, dict(sent))

    def remove(self) -> None:
        """Delete the journal, in one step for every other process."""
        done = self.folder.with_name(_DONE + self.folder.name)
        self.folder.rename(done)
        shutil.rmtree(done, ignore_errors=True)  # Who looks for journals removes it as well.
        self.close()

    def close(self) -> None:
        """Let go of it."""
        self._lock.close()


def new_journal(folder: Path, name: str, start: Mapping[str, object]) -> tuple[Journal, str]:
    """A journal in `folder` whose first record is `start`, and the key of its run, its own alone.

    It appears whole and held, so that nobody takes it for one that was left behind.
    """
    key = uuid.uuid4().hex
    title = f"{time.time_ns():020d}-{_ODD.sub('_', name)[:60]}-{key[:8]}"
    new = folder / (_NEW + title)
    new.mkdir(parents=True)
    lock = _locked(new / _LOCK)
    assert lock is not None
    journal = Journal(new, lock)
    journal.append("start", key=key, name=name, **start)
    journal.folder = new.rename(folder / title)
    return journal, key


def find_journals(root: Path) -> list[Path]:
    """Folders of the journals that are there, the oldest first; deletes what kills left."""
    folder = journals_folder(root)
    if not folder.is_dir():
        return []
    for rest in folder.glob(f"{_DONE}*"):
        shutil.rmtree(rest, ignore_errors=True)
    for rest in folder.glob(f"{_NEW}*"):
        _remove_unborn(rest)
    return sorted(path for path in folder.iterdir() if (path / _LINES).exists() and _is_whole(path))


def take_journal(folder: Path) -> Journal | None:
    """The journal, held; None when another process holds it or has just removed it."""
    try:
        lock = _locked(folder / _LOCK)
    except FileNotFoundError:
        return None
    if lock is None:
        return None
    if not (folder / _LINES).exists():
        lock.close()
        return None
    return Journal(folder, lock)


def cut_torn_line(file: Path) -> None:
    """Drop a last line that a kill left unfinished."""
    if file.exists():
        content = file.read_bytes()
        if content and not content.endswith(b"\n"):
            with file.open("r+b") as lines:
                lines.truncate(content.rfind(b"\n") + 1)


def _remove_unborn(folder: Path) -> None:
    """Remove a journal that a kill ended before it appeared, unless it is being made just now."""
    with suppress(FileNotFoundError):
        if time.time() - folder.stat().st_mtime < _BIRTH_S:
            return
        if lock := _locked(folder / _LOCK):
            shutil.rmtree(folder, ignore_errors=True)
            lock.close()


def _is_whole(path: Path) -> bool:
    return not path.name.startswith((_NEW, _DONE))


def _locked(path: Path) -> IO[str] | None:
    """The open file, locked until it is closed or the process ends; None when it is taken."""
    lock = path.open("a", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock
