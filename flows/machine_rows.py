"""Rows of `finer1 check` about packages, folders, space and the model."""

import json
import os
import platform
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from importlib.metadata import distributions
from pathlib import Path
from typing import IO

import psutil

from finer1.files import write_atomic
from finer1.lifetime import dying_with_parent
from finer1.params import Params
from finer1.paths import Paths
from finer1.planning.plan import GIB, Resources, plan_run
from finer1.preflight.rows import Row
from finer1.preflight.versions import (
    compare_versions,
    list_advisories,
    locked_versions,
    normal_name,
)
from flows.processes import as_typed, stage_environment

_PYTHON = (3, 11)
_SPARE_GIB = 2.0
"""Left free beside what the plan needs."""
_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    # As tasks/stage.py has it.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_LOGGING_LEVEL": "ERROR",
}
_TOLD = 300
"""Characters of a process's last words in a row."""


def package_rows(root: Path) -> Iterator[Row]:
    """Python, the packages of the lock, and what is known against them."""
    version = platform.python_version()
    if sys.version_info[:2] == _PYTHON:
        yield Row("OK", "python", version)
    else:
        yield Row("FAIL", "python", f"{version}, and not 3.11", "install python3.11, make setup")
    installed = {normal_name(each.name): each.version for each in distributions() if each.name}
    lock = root / "requirements.lock"
    if lock.is_file():
        yield compare_versions(locked_versions(lock.read_text(encoding="utf-8")), installed)
    yield from list_advisories({**installed, "python": version}, date.today())


def folder_rows(root: Path, paths: Paths) -> Iterator[Row]:
    """Whether results can be written, and that nobody else writes where pickles are read."""
    wrong = []
    folders = {root, root / ".dvc", *(root / path for _, path in paths)}
    for folder in sorted({_there(folder) for folder in folders}):
        try:
            with tempfile.TemporaryDirectory(dir=folder, prefix=".check-") as scratch:
                write_atomic(Path(scratch) / "file", b"1")
        except OSError as error:
            wrong.append(f"{folder} ({error.strerror})")
    if wrong:
        what = f"cannot be written: {', '.join(wrong)}"
        yield Row("FAIL", "write access", what, "chown or chmod them, or run in another clone")
    else:
        yield Row("OK", "write access", "data, models and caches can be written")
    shared = [path for path in _caches(root) if path.is_dir() and path.stat().st_mode & 0o022]
    if shared:
        named = " ".join(map(str, shared))
        what = f"others may write to {named}, from where DVC reads pickles (CVE-2025-69872)"
        yield Row("WARN", "cache folders", what, f"chmod go-w {named}")
    else:
        yield Row("OK", "cache folders", "nobody else writes to them")


def _there(path: Path) -> Path:
    """The path or the nearest folder above it that is there."""
    return next(item for item in (path, *path.absolute().parents) if item.is_dir())


def _caches(root: Path) -> Iterator[Path]:
    yield root / ".dvc"
    yield root / ".dvc/tmp"
    yield root / ".dvc/cache"
    if own := os.environ.get("DVC_SITE_CACHE_DIR"):
        yield Path(own)


def plan_rows(root: Path, params: Params) -> Iterator[Row]:
    """Free memory and disk against what the run is planned to take."""
    resources = Resources("h200", 1, None, "fsdp2", None, None)
    base = root / params.paths.base
    memory, disk = psutil.virtual_memory().available / GIB, shutil.disk_usage(root).free / GIB
    try:
        plan = plan_run("params.yaml", params, base, resources)
    except ValueError as error:
        what = f"{memory:.0f} GiB of memory, {disk:.0f} GiB of disk free; no plan: {error}"
        yield Row("WARN", "space", what, as_typed("finer1 plan", root))
        return
    for name, free, parts in (("memory", memory, plan.host), ("disk", disk, plan.disk)):
        need = sum(parts.values()) / GIB
        what = f"{free:.1f} GiB free, the plan needs {need:.1f}"
        see = f"{as_typed('finer1 plan', root)} says for what"
        if need > free:
            yield Row("FAIL", name, what, f"free {need - free:.1f} GiB; {see}")
        elif need + _SPARE_GIB > free:
            yield Row("WARN", name, f"{what}: little is left", f"free some; {see}")
        else:
            yield Row("OK", name, what)


@contextmanager
def examined_model(folder: Path, device: str) -> Iterator[subprocess.Popen[str]]:
    """The process that looks at GPU and model, begun at once and ended with the block."""
    command = [sys.executable, "-m", "finer1.preflight.behaviour", str(folder), device]
    with subprocess.Popen(
        command,
        env={**stage_environment(), **_ENVIRONMENT},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=dying_with_parent(),
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def model_rows(process: subprocess.Popen[str], deadline: float) -> Iterator[Row]:
    """The rows of finer1.preflight.behaviour, and one more when its time is over.

    deadline: by time.monotonic().
    """
    lines, words = _lines(process.stdout), _lines(process.stderr)
    try:
        while (line := lines.get(timeout=max(0.0, deadline - time.monotonic()))) is not None:
            yield Row(**json.loads(line))
    except queue.Empty:
        what = "not finished in time; what stands above is all that is known"
        yield Row("WARN", "model", what, "finer1 check, when the machine is less busy")
        return
    if process.wait():
        last = " ".join(iter(words.get, None))[-_TOLD:]
        yield Row("FAIL", "model", f"ended with {process.returncode}: {last}", "make setup")


def _lines(stream: IO[str] | None) -> "queue.SimpleQueue[str | None]":
    """Lines as a thread reads them, so that waiting for one can end; None at the end."""
    found: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def read() -> None:
        for line in stream or ():
            found.put(line.rstrip())
        found.put(None)

    threading.Thread(target=read, daemon=True).start()
    return found
