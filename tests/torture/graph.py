"""Kills of DVC and of what runs it, on a graph of three light stages that write as real ones do."""

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from resource import struct_rusage

import psutil

from flows.runner import Request, run
from tests.crashes import in_child, litter, tree
from tests.torture.moments import (
    Length,
    await_moment,
    below,
    kill,
    kill_group,
    processor_time,
    words,
)

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


class Killer:
    """Starts runs and kills them, or a part of them, at moments that it draws."""

    def __init__(self, folder: Path, repository: Path, seed: int) -> None:
        """folder: for runs that nothing disturbs, by which the moments are drawn."""
        self._draw = random.Random(seed)
        self._lengths = {act: Length() for act in (finer1_run, dvc_repro)}
        self._stages = {name: Length() for name in ("rows", "files", "table")}
        self.whole = make_project(folder / "whole", repository)
        self._measure(finer1_run, self.whole)
        other = make_project(folder / "other", repository)
        self._measure(dvc_repro, other)
        for name, length in self._stages.items():
            child = _start(lambda: _one_stage(other, name))  # noqa: B023
            length.add(_end_of(child))

    def kill(self, target: str, project: Path, is_first: bool) -> bool:
        """Start what the target belongs to, kill it, wait until all of it is gone.

        is_first: nothing has been done in the project; else there is less left to do.
        False when it had done all before.
        """
        act = dvc_repro if "dvc" in target or target == "stage" else finer1_run
        child = _start(lambda: act(project))
        if target == "stage":
            is_hit, family = self._kill_stage(child, project, is_first)
        else:
            moment = self._lengths[act].draw(self._draw) * (1 if is_first else 0.5)
            in_time, family = await_moment(child, moment), below(child)
            is_hit = in_time and (kill_group if target.startswith("group") else kill)(child)
        _, status, usage = os.wait4(child, 0)
        _, left = psutil.wait_procs(family, timeout=60)
        assert not left, f"{target}: {[words(process) for process in left]} outlived it"
        if not status and is_first:
            self._lengths[act].add(usage)
        # A child that was itself hit ends by the signal; one whose stage was hit ends by itself.
        return is_hit and (os.WIFSIGNALED(status) or (target == "stage" and bool(status)))

    def _kill_stage(
        self, child: int, project: Path, is_first: bool
    ) -> tuple[bool, list[psutil.Process]]:
        """Kill a stage after a number of its rows, or after some processor time.

        Of a project in which something is done it is the stage that comes first.
        Whether it lived, and the other processes.
        """
        names = [self._draw.choice(("rows", "rows", "files", "table"))]
        if not is_first:
            names = ["rows", "files", "table"]
        while not (found := [p for p in below(child) if _stage_of(p) in names]):
            if processor_time(child) is None:
                return False, []
            time.sleep(0.01)
        process, name, family = found[0], _stage_of(found[0]), below(child)
        rows, moment = self._draw.randrange(40), self._stages[name or names[0]].draw(self._draw)
        if name == "rows" and self._draw.random() < 0.75:
            kept = project / "models/.resume/rows/rows.jsonl"
            while process.is_running() and _num_lines(kept) < rows:
                time.sleep(0.01)
            return kill(process.pid), family
        return await_moment(process.pid, moment) and kill(process.pid), family

    def _measure(self, act: Callable[[Path], None], project: Path) -> None:
        self._lengths[act].add(_end_of(_start(lambda: act(project))))


def torture(
    folder: Path, repository: Path, kills: int, seed: int, say: Callable[[str], None]
) -> dict[str, int]:
    """Hit so often, then `finer1 run`, which must end byte-identical.

    One to six kills, each of what goes on after the last one, come before a `finer1 run`.
    Returns how often each target was hit while it worked, and how often one had ended before.
    """
    prepare_environment()
    killer, draw = Killer(folder, repository, seed), random.Random(seed)
    expected = artifacts(killer.whole)
    assert len(expected) == 1 + 40 + 1 + 1  # rows, files, table, dvc.lock
    hits, number, trials = {**dict.fromkeys(TARGETS, 0), "nothing": 0}, 0, 0
    while (done := sum(hits.values()) - hits["nothing"]) < kills:
        project, case = make_project(folder / str(trials), repository), f"seed {seed}:"
        for place in range(draw.randint(1, min(6, kills - done))):
            target = TARGETS[number % len(TARGETS)]
            number += 1
            is_hit = killer.kill(target, project, is_first=place == 0)
            hits[target if is_hit else "nothing"] += 1
            case += f" {number} {target if is_hit else 'nothing'},"
            if not is_hit:
                break
        require_whole(project, expected, case)
        shutil.rmtree(project)
        trials += 1
        say(f"dvc: {trials} trials, {case} {hits}")
        assert hits["nothing"] <= kills // 2 + 10, f"half of the kills come too late: {hits}"
    return hits


def require_whole(project: Path, expected: dict[str, str], case: str) -> None:
    """Raise AssertionError unless `finer1 run` now gives what an undisturbed one gives."""
    assert in_child(lambda: _quiet(project, finer1_run)) == 0, case
    assert artifacts(project) == expected, case
    assert litter(project / "data") + litter(project / "models") == [], case


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
    code = 1
    try:
        os.setpgid(0, 0)
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        act()
        code = 0
    finally:
        os._exit(code)


def _end_of(child: int) -> struct_rusage:
    """What a child that must end well has used."""
    _, status, usage = os.wait4(child, 0)
    assert status == 0
    return usage


def _one_stage(project: Path, name: str) -> None:
    os.chdir(project)
    subprocess.run([sys.executable, "stage.py", name], check=True)


def _stage_of(process: psutil.Process) -> str | None:
    """The stage that a process is, if it is one."""
    found = words(process)
    return found[-1] if found[-2:-1] == ["stage.py"] else None


def _num_lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0
