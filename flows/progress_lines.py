"""Progress of a stage, read from the lines that it prints and shown beside its task run."""

import contextvars
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

_LINE = re.compile(r"(?:^|: )(?P<name>[\w@ ]+): (?P<done>\d+)/(?P<total>\d+) (?P<unit>[a-zA-Z]+)")
_SEND_PAUSE_S = 3.0
_LOG_PAUSE_S = 30.0
_PATIENCE_S = 5.0


@dataclass(frozen=True)
class Step:
    """How far some work has come."""

    percent: float
    words: str
    """The line: items done, time left, what else it says."""
    is_last: bool


def parse_progress(line: str) -> Step | None:
    """What a line of finer1.progress.Progress says; None for any other line."""
    found = _LINE.search(line)
    if not found:
        return None
    done, total = int(found["done"]), int(found["total"])
    percent = min(100.0, 100 * done / max(total, 1))
    return Step(percent, line[found.start("name") :], done >= total)


class Reporter:
    """Hands the latest step to `send` from a thread of its own.

    The reader of a stage's output never waits for a server: else the pipe would fill up, and the
    stage would wait with it.
    """

    def __init__(
        self, send: Callable[[Step], None], now: Callable[[], float] = time.monotonic
    ) -> None:
        """send: may take any time; called in the context of the caller's run."""
        self._send = send
        self._now = now
        self._logged_at = now()
        self.has_shown = False
        """Whether there was any progress to show."""
        self._latest: deque[Step] = deque(maxlen=1)
        self._wake = threading.Event()
        self._closed = threading.Event()
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._ship,), daemon=True)
        self._thread.start()

    def take(self, line: str) -> bool:
        """Note the line if it is progress; returns whether it belongs into the log, too.

        Of progress the log gets a line every half minute, and the last one.
        """
        step = parse_progress(line)
        if step is None:
            return True
        self.show(step)
        if not step.is_last and self._now() - self._logged_at < _LOG_PAUSE_S:
            return False
        self._logged_at = self._now()
        return True

    def show(self, step: Step) -> None:
        """Hand a step to the thread; of several that wait the latest is sent."""
        self.has_shown = True
        self._latest.append(step)
        self._wake.set()

    def close(self) -> None:
        """Send the last step, and wait for that for a bounded time."""
        self._closed.set()
        self._wake.set()
        self._thread.join(_PATIENCE_S)

    def _ship(self) -> None:
        while not self._closed.is_set():
            self._wake.wait()
            self._wake.clear()
            self._send_latest()
            self._closed.wait(_SEND_PAUSE_S)
        self._send_latest()

    def _send_latest(self) -> None:
        if self._latest:
            self._send(self._latest.pop())
