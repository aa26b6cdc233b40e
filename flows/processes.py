"""Child processes that end with their parent and whose lines are handed on as they come."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from finer1.lifetime import dying_with_parent
from finer1.telemetry import TELEMETRY_OFF


def stream(
    command: Sequence[str],
    folder: Path,
    environ: Mapping[str, str],
    on_line: Callable[[str], None],
) -> int:
    """Run `command` in `folder`, hand on every line of its output, return its exit status.

    A killed parent takes the child with it (Linux), so that no orphan goes on writing.
    """
    with subprocess.Popen(
        command,
        cwd=folder,
        env=dict(environ),
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
        except BaseException:
            _end(process)
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


def _end(process: subprocess.Popen[str]) -> None:
    """Ask the child to stop, as Ctrl-C does, then make it."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
