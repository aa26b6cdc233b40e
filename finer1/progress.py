"""Progress of long work with rate and time left, readable in a terminal and in a log."""

import sys
import time


class Progress:
    """Counts finished items; prints a bar on a terminal, else one line per fifth.

    The rate counts only items that were work, not those found in a cache.
    """

    def __init__(self, name: str, total: int, unit: str) -> None:
        self._name = name
        self._total = total
        self._unit = unit
        self._done = 0
        self._worked = 0
        self._printed = 0
        self._start = time.monotonic()

    def advance(self, count: int, is_new: bool = True) -> None:
        """`count` more items are finished."""
        self._done += count
        self._worked += count if is_new else 0
        fifth = 5 * self._done // max(self._total, 1)
        if sys.stderr.isatty():
            end = "\n" if self._done >= self._total else ""
            print(f"\r{self._line()}", end=end, file=sys.stderr, flush=True)
        elif fifth > self._printed:
            self._printed = fifth
            print(self._line(), file=sys.stderr, flush=True)

    def _line(self) -> str:
        seconds = time.monotonic() - self._start
        line = f"{self._name}: {self._done}/{self._total} {self._unit}"
        if not self._worked:
            return f"{line}, from the store"
        rate = self._worked / max(seconds, 1e-9)
        left = (self._total - self._done) / rate
        return f"{line}, {rate:.1f}/s, {left:.0f} s left"
