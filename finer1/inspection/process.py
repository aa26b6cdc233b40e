"""Processes that look at image files for this one.

Each runs `python -m finer1.inspection.looking`, which imports neither torch nor the caller's main
module, as a spawned pool would. A picture that kills the decoder is thereby a finding and no end.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue

from finer1.inspection.looking import Look, from_json

_BREAKDOWNS = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL)
"""Signals by which a decoder ends over a picture; all others come from outside."""


class LookProcess:
    """A process that looks at files, started on first use and anew after a breakdown."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def look_at(self, path: str, cut: int) -> Look:
        """See looking.look_at. Raises OSError when the process ends for another reason."""
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps([path, cut]) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if answer:
            return from_json(json.loads(answer))
        code = process.wait()
        self.close()
        if -code in _BREAKDOWNS:
            return Look("", "", 0, 0, "", (), f"breaks the decoder ({signal.Signals(-code).name})")
        raise OSError(_ended(path, code))

    def close(self) -> None:
        """End the process, whatever it is doing."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "finer1.inspection.looking"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                encoding="ascii",
            )
        return self._process


@contextmanager
def look_processes(workers: int) -> Iterator[SimpleQueue[LookProcess]]:
    """That many processes, to be taken from the queue and put back; all end with the block."""
    processes = [LookProcess() for _ in range(workers)]
    idle: SimpleQueue[LookProcess] = SimpleQueue()
    for process in processes:
        idle.put(process)
    try:
        yield idle
    finally:
        for process in processes:
            process.close()


def _ended(path: str, code: int) -> str:
    if code == -signal.SIGKILL:
        return f"{path}: the process that decodes it was killed (signal 9), likely out of memory"
    return f"{path}: the process that decodes it ended with code {code}; its last lines say why"
