"""Where a run comes from: process, commit, Prefect flow run, DVC experiment; is it still alive?"""

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

STARTER = "FINER1_STARTER"
"""Environment variable with the process that started a command and is to be outlived by none of
what that starts."""


def origin_tags(root: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Tags that tie a tracked run to what started it; unknown ones are left out."""
    git = ["git", "-C", str(root), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(git, capture_output=True, text=True, check=False)
        commit = done.stdout.strip() if done.returncode == 0 else None
    except FileNotFoundError:  # no git on this machine
        commit = None
    tags = {
        "mlflow.source.git.commit": commit,
        "flow_run": environ.get("FINER1_FLOW_RUN"),
        "dvc_experiment": environ.get("DVC_EXP_NAME"),
    }
    return {**process_tags(), **{name: value for name, value in tags.items() if value}}


def process_tags() -> dict[str, str]:
    """What tells this process from every other one, on this machine and after a restart."""
    return {
        "pid": str(os.getpid()),
        "born": process_birth(os.getpid()) or "",
        "boot": _boot(),
        "host": socket.gethostname(),
    }


def is_alive(tags: Mapping[str, str]) -> bool:
    """True while the process that wrote these tags on this machine is running."""
    same_boot = tags.get("boot") == _boot()
    return same_boot and process_birth(int(tags.get("pid", "0"))) == tags.get("born")


def process_birth(pid: int) -> str | None:
    """Start time of a live process in clock ticks since boot, which a reused pid does not share."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    state, *rest = fields.rpartition(")")[2].split()
    return None if state in "ZX" else rest[18]


def has_lost_starter(environ: Mapping[str, str]) -> bool:
    """Whether the process of FINER1_STARTER is no longer above this one: one in between has died.

    Asked once this process dies with its parent (finer1/lifetime.py), which a parent that went
    before does not bring about.
    """
    if sys.platform != "linux":
        return False
    starter = int(environ.get(STARTER, "0"))
    pid = os.getppid()
    while starter and pid > 1 and pid != starter:
        pid = _parent(pid)
    return bool(starter) and pid != starter


def _parent(pid: int) -> int:
    """Parent of a process of this machine; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    return int(fields.rpartition(")")[2].split()[1])


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
