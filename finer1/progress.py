"""Progress of long work with time left, readable in a terminal and in a log."""

import math
import os
import sys
import time
from collections.abc import Callable

PAUSE_S = 60.0
"""Seconds after which a log gets a line, though no fifth is full."""
LIVE_PAUSE_S = 0.5
"""Seconds between the lines of a log that is shown as it grows."""


class Progress:
    """Counts finished items: on a terminal one line rewritten in place, else a line now and then.

    Now and then is after each fifth, and a minute after the last line. The time left is reckoned
    from items that were work, not from those found in a cache or done before the start.
    """

    def __init__(
        self,
        name: str,
        total: int,
        unit: str,
        done: int = 0,
        is_live: bool = False,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """done: items of an earlier process. is_live: print a line whenever LIVE_PAUSE_S are over,
        since a reader of the output shows the latest one alone."""
        self._name = name
        self._total = total
        self._unit = unit
        self._done = done
        self._worked = 0
        self._num_texts = 0
        self._num_tokens = 0
        self._is_live = is_live
        self._now = now
        self._start = now()
        self._fifth = self._full_fifths()
        self._printed_at = -math.inf if is_live else self._start

    def advance(
        self,
        count: int,
        is_new: bool = True,
        words: str = "",
        num_texts: int = 0,
        num_tokens: int = 0,
    ) -> None:
        """`count` more items are finished; `words` stand in the line instead of the rate.

        num_texts, num_tokens: texts generated meanwhile, and their tokens in all; the line then has
        tokens per second and the mean length.
        """
        self._done += count
        self._num_texts += num_texts
        self._num_tokens += num_tokens
        self._worked += count if is_new else 0
        if sys.stderr.isatty():
            end = "\n" if self._done >= self._total else ""
            line = self._line(words)[: _columns() - 1]  # a wrapped line cannot be rewritten
            print(f"\r\x1b[K{line}", end=end, file=sys.stderr, flush=True)
        elif self._is_time():
            self._fifth, self._printed_at = self._full_fifths(), self._now()
            print(self._line(words), file=sys.stderr, flush=True)

    def _is_time(self) -> bool:
        pause = LIVE_PAUSE_S if self._is_live else PAUSE_S
        return self._full_fifths() > self._fifth or self._now() - self._printed_at >= pause

    def _full_fifths(self) -> int:
        return 5 * self._done // max(self._total, 1)

    def _line(self, words: str) -> str:
        line = f"{self._name}: {self._done}/{self._total} {self._unit}"
        if not self._worked:
            return f"{line}, from the store"
        seconds = max(self._now() - self._start, 1e-9)
        rate = self._worked / seconds
        left = duration((self._total - self._done) / rate)
        line = f"{line}, {left} left, {words or f'{rate:.1f}/s'}"
        if not self._num_tokens:
            return line
        mean = self._num_tokens / self._num_texts
        return f"{line}, {self._num_tokens / seconds:.0f} tokens/s, {mean:.0f} tokens each"


def duration(seconds: float) -> str:
    """`seconds` in the two largest units that it fills."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_rest = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes_rest:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def _columns() -> int:
    return os.get_terminal_size(sys.stderr.fileno()).columns or 80
