"""Kills of DVC and of what runs it, on a graph of three light stages that write as real ones do."""

import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from flows.runner import Request, run
from tests.crashes import in_child, litter, tree

ROOT = Path(__file__).resolve().parents[2]
TARGETS = ("stage", "dvc repro", "finer1 run", "group of dvc repro", "group of finer1 run")
ARTIFACTS = ("data", "models", "dvc.lock")
GRAPH = """
stages:
  rows:
    cmd: exec python stage.py rows
    deps: [stage.py]
    outs: [data/rows.jsonl]
  files:
    cmd: exec python stage.py files
    deps: [stage.py, data/rows.jsonl]
    outs: [models/files]
  table:
    cmd: exec python stage.py table
    deps: [stage.py, models/files]
    outs: [data/table.json]
"""
STAGE = """
import fcntl, json, shutil, sys, time
from pathlib import Path
from finer1.files import new_folder, write_atomic, write_json
from finer1.lifetime import dying_with_parent

dying_with_parent()()
kind = sys.argv[1]
scratch = Path("models/.resume") / kind
scratch.mkdir(parents=True, exist_ok=True)
with (scratch / ".lock").open("a") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if kind == "rows":  # goes on from the rows that are there
        kept = scratch / "rows.jsonl"
        content = kept.read_bytes() if kept.exists() else b""
        done = content[: content.rfind(b"\\n") + 1]
        kept.write_bytes(done)
        with kept.open("ab") as file:
            for number in range(done.count(b"\\n"), 40):
                file.write(json.dumps({"id": number}).encode() + b"\\n")
                file.flush()
                time.sleep(0.005)
        write_atomic(Path("data/rows.jsonl"), kept.read_bytes())
    elif kind == "files":
        with new_folder(Path("models/files")) as part:
            for line in Path("data/rows.jsonl").read_text().splitlines():
                (part / f"{json.loads(line)['id']}.txt").write_text(line * 100)
    else:
        write_json(Path("data/table.json"), sorted(p.name for p in Path("models/files").iterdir()))
shutil.rmtree(scratch)
"""


def make_project(folder: Path, repository: Path) -> Path:
    """The project, in which nothing has run."""
    (folder / ".dvc").mkdir(parents=True)
    (folder / ".dvc/config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    (folder / ".dvcignore").write_text("/models/.resume\n/logs\n")
    (folder / "dvc.yaml").write_text(GRAPH)
    (folder / "stage.py").write_text(STAGE)
    (folder / "params.yaml").write_bytes((repository / "params.yaml").read_bytes())
    return folder


def prepare_environment() -> None:
    """For this process and all that it starts: no tracking, the code of this folder."""
    import dvc.cli  # noqa: F401  # once, for all children

    os.environ |= {
        "FINER1_PARENT_RUN": "",
        "DVC_NO_ANALYTICS": "1",
        "PYTHONPATH": str(ROOT),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }


def artifacts(folder: Path) -> dict[str, str]:
    """SHA-256 of all that the stages and DVC have made, by path."""
    found = tree(folder, without=(".dvc", ".resume", "logs"))
    return {path: sha for path, sha in found.items() if Path(path).parts[0] in ARTIFACTS}


def finer1_run(folder: Path) -> None:
    """What the user types, and nothing else."""
    os.chdir(folder)
    if run(Request(), folder):
        raise RuntimeError("finer1 run failed")


def dvc_repro(folder: Path) -> None:
    """A bare `dvc repro`."""
    from dvc.cli import main

    os.chdir(folder)
    if main(["repro", "--quiet"]):
        raise RuntimeError("dvc repro failed")


def kill_once(folder: Path, target: str, longest_s: float, draw: random.Random) -> str:
    """Start `dvc repro` or `finer1 run`, kill it or a part of it at a random moment; what was hit.

    Waits until all of it is gone.
    """
    act = dvc_repro if "dvc" in target or target == "stage" else finer1_run
    child = _start(lambda: act(folder))
    if target == "stage":
        _await_stage(child, draw.choice(("rows", "files", "table")), longest_s)
        time.sleep(draw.uniform(0, 0.3))
    else:
        time.sleep(draw.uniform(0, longest_s))
    below = _below(child)
    if target == "stage":
        stages = [process for process in below if "stage.py" in _words(process)]
        for process in stages:
            _kill(process.pid)
        hit = "stage" if stages else "nothing"
    elif target.startswith("group"):
        hit = _kill_group(child)
    else:
        hit = _kill(child)
    _, status = os.waitpid(child, 0)
    _, alive = psutil.wait_procs(below, timeout=10)
    assert not alive, f"{target}: {[_words(process) for process in alive]} outlived it"
    # A child that was itself hit ends by the signal; one whose stage was hit ends by itself.
    return hit if status or target == "stage" else "nothing"


def torture(
    folder: Path, repository: Path, kills: int, seed: int, say: Callable[[str], None]
) -> dict[str, int]:
    """Kill so often, each time followed by `finer1 run`, which must end byte-identical.

    Returns how often each target was hit while it worked.
    """
    prepare_environment()
    whole = make_project(folder / "whole", repository)
    start = time.monotonic()
    assert in_child(lambda: _quiet(whole, finer1_run)) == 0
    longest_s = time.monotonic() - start
    expected = artifacts(whole)
    assert len(expected) == 1 + 40 + 1 + 1  # rows, files, table, dvc.lock
    draw, hits = random.Random(seed), dict.fromkeys((*TARGETS, "nothing"), 0)
    for number in range(kills):
        target = TARGETS[number % len(TARGETS)]
        project = make_project(folder / str(number), repository)
        hit = kill_once(project, target, longest_s, draw)
        hits[target if hit != "nothing" else "nothing"] += 1
        case = f"kill {number} of {target}, seed {seed}"
        assert in_child(lambda: _quiet(project, finer1_run)) == 0, case  # noqa: B023
        assert artifacts(project) == expected, case
        assert litter(project / "data") + litter(project / "models") == [], case
        shutil.rmtree(project)
        say(f"dvc: {number + 1}/{kills} kills, {target}: {hit}")
    return hits


def _quiet(folder: Path, act: Callable[[Path], None]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "logs").mkdir(exist_ok=True)
    log = os.open(folder / "logs/output", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    act(folder)


def _start(act: Callable[[], None]) -> int:
    """A child in a process group of its own, without output."""
    child = os.fork()
    if child:
        return child
    try:
        os.setpgid(0, 0)
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        act()
    finally:
        os._exit(0)


def _await_stage(child: int, stage: str, longest_s: float) -> None:
    end = time.monotonic() + 2 * longest_s
    while time.monotonic() < end:
        if any(_words(process)[-1:] == [stage] for process in _below(child)):
            return
        time.sleep(0.02)


def _below(child: int) -> list[psutil.Process]:
    try:
        return psutil.Process(child).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []


def _kill(pid: int) -> str:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return "nothing"
    return "process"


def _kill_group(child: int) -> str:
    try:
        os.killpg(child, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return "nothing"
    return "group"
