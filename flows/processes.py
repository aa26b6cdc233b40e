"""Child processes that end with their parent and whose lines are handed on as they come."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from finer1.lifetime import dying_with_parent
from finer1.telemetry import TELEMETRY_OFF
from tasks.origin import STARTER

_PATIENCE_S = 10.0
"""Time for an interrupted child to end by itself."""


def stream(
    command: Sequence[str],
    folder: Path,
    environ: Mapping[str, str],
    on_line: Callable[[str], None],
) -> int:
    """Run `command` in `folder`, hand on every line of its output, return its exit status.

    A killed parent takes the child with it (Linux), so that no orphan goes on writing. When this
    call is left by an exception, the child and all that it started have ended.
    """
    with subprocess.Popen(
        command,
        cwd=folder,
        env={**environ, STARTER: str(os.getpid())},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        preexec_fn=dying_with_parent(),
    ) as process:
        try:
            for line in process.stdout or ():
                on_line(line.rstrip())
        except BaseException as error:
            _end(process, is_told=isinstance(error, KeyboardInterrupt) and _is_in_front())
            raise
        return process.wait()


def stage_environment() -> dict[str, str]:
    """The caller's environment with this Python first on the path, unbuffered, and quiet tools."""
    own = str(Path(sys.executable).parent)
    return {
        **os.environ,
        "PATH": f"{own}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",
        **TELEMETRY_OFF,
    }


def as_typed(command: str, root: Path) -> str:
    """`command` as it works in a shell at `root`, whether or not .venv is activated there."""
    is_own = Path(sys.prefix).resolve() == (root / ".venv").resolve()
    return f".venv/bin/{command}" if is_own else command


def _is_in_front() -> bool:
    """Whether a terminal's Ctrl-C goes to this process, and so to all that it started."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _end(process: subprocess.Popen[str], is_told: bool) -> None:
    """Ask the child to stop, as Ctrl-C does, then make it and all that it started.

    is_told: Ctrl-C has asked them all; a second time would break off what they do about it.
    """
    own = psutil.Process(process.pid)
    below = own.children(recursive=True)
    # DVC ignores an interrupt while its stage runs: a terminal would have sent it to both.
    asked = below if _ignores_interrupts(own) else [own]
    for each in [] if is_told else asked:
        with suppress(psutil.NoSuchProcess):
            each.send_signal(signal.SIGINT)
    try:
        process.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        below += own.children(recursive=True)
        process.kill()
    for each in below:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    psutil.wait_procs(below, _PATIENCE_S)


def _ignores_interrupts(process: psutil.Process) -> bool:
    """Whether a process has SIGINT ignored, where Linux says so."""
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    (ignored,) = (line.split()[1] for line in lines.splitlines() if line.startswith("SigIgn:"))
    return bool(int(ignored, 16) >> (signal.SIGINT - 1) & 1)
