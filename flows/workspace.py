"""A run's hold on its folder: one run at a time, and what a kill left behind is repaired."""

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import psutil

from finer1.files import write_atomic
from flows.dag import is_readable_lock

_STATE = Path(".dvc/tmp/finer1")


@contextmanager
def hold(root: Path) -> Iterator[None]:
    """Let no other `finer1 run` into the folder for the duration of the block.

    Raises ValueError at once, naming who holds it.
    """
    state = root / _STATE
    state.mkdir(parents=True, exist_ok=True)
    with (state / "run.lock").open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(_busy(root, lock.name)) from None
        holder = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": datetime.now().astimezone().isoformat(timespec="seconds"),
        }
        lock.truncate(0)
        lock.write(json.dumps(holder))
        lock.flush()
        yield


def repair(root: Path) -> list[str]:
    """Undo what a killed DVC leaves behind; returns a sentence per repair.

    DVC rewrites `.dvc/tmp/rwlock` and `dvc.lock` in place, so that a kill at the wrong moment
    leaves an empty or half file, with which every later call fails.
    Raises ValueError when a DVC process that may be writing them is alive.
    """
    done = []
    rwlock = root / ".dvc/tmp/rwlock"
    if rwlock.exists() and not _is_json(rwlock):
        _refuse_live_dvc(root, rwlock)
        rwlock.unlink()
        done.append(f"removed {rwlock.relative_to(root)}, which a killed run had left unreadable")
    lock, kept = root / "dvc.lock", root / _STATE / "dvc.lock"
    if lock.exists() and not is_readable_lock(lock):
        _refuse_live_dvc(root, lock)
        if kept.exists():
            write_atomic(lock, kept.read_bytes())
            done.append("restored dvc.lock, which a killed run had left unreadable")
        else:
            lock.unlink()
            done.append("removed an unreadable dvc.lock; finished stages come from DVC's run cache")
    return done


def keep_lock_copy(root: Path) -> None:
    """Keep a copy of dvc.lock for `repair`."""
    lock, kept = root / "dvc.lock", root / _STATE / "dvc.lock"
    if lock.exists():
        write_atomic(kept, lock.read_bytes())


def exit_file(root: Path, name: str) -> Path:
    """Where the stage or experiment `name` leaves its exit code, which DVC hides."""
    return root / _STATE / f"{name}.exit"


def _busy(root: Path, lock: str) -> str:
    try:
        holder = json.loads(Path(lock).read_text(encoding="utf-8"))
        who = f"process {holder['pid']} on {holder['host']} since {holder['since']}"
    except (OSError, ValueError, KeyError):
        who = "another process"
    return f"{root} is in use by {who}; wait for it, or run in another clone"


def _is_json(path: Path) -> bool:
    try:
        return isinstance(json.loads(path.read_text(encoding="utf-8")), dict)
    except ValueError:
        return False


def _refuse_live_dvc(root: Path, path: Path) -> None:
    for process in psutil.process_iter(["pid", "cmdline", "cwd"]):
        words = [Path(word).name for word in (process.info["cmdline"] or [])[:3]]
        if "dvc" in words and process.info["cwd"] == str(root.resolve()):
            raise ValueError(
                f"{path} is unreadable, and a DVC process ({process.pid}) works in this folder; "
                "wait for it or end it, then run again"
            )
