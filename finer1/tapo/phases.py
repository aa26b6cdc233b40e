"""Where the time of a rollout step goes: seconds of each phase, and tokens per second.

A GPU works behind the program's back. So the clock waits for it before it looks at the time; else
the seconds of one phase would be charged to whichever phase waits next.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

import torch

Phase = Literal[
    "generate",  # prompts encoded, completions sampled
    "reward",  # completions decoded and scored
    "old",  # old log-probabilities, where an update is not the first of its step
    "negative",  # log-probabilities under the negative image, without gradient
    "anchor",  # training forward under the update image alone
    "anchor_negative",  # training forward under both at once: their shares cannot be told apart
    "backward",
    "optimizer",  # gradients clipped, weights changed
    "sync",  # new weights handed to the engine that samples
]
UPDATE: tuple[Phase, ...] = (
    "old",
    "negative",
    "anchor",
    "anchor_negative",
    "backward",
    "optimizer",
)
"""The phases that an update consists of."""
OTHER = "other"
"""Time outside of every phase: guards, negative images encoded, tensors laid out, log, sheet and
checkpoint of the step before."""


class PhaseClock:
    """Charges wall-clock time to phases; inside another phase, to the inner one alone."""

    def __init__(self, device: torch.device, now: Callable[[], float] = time.perf_counter) -> None:
        self._is_cuda = device.type == "cuda"
        self._device = device
        self._now = now
        self._open: list[Phase] = []
        self._seconds: dict[str, float] = defaultdict(float)
        self._mark = now()

    @contextmanager
    def phase(self, name: Phase) -> Iterator[None]:
        """Charge what happens inside to phase `name`."""
        self.begin(name)
        try:
            yield
        finally:
            self.end()

    def begin(self, name: Phase) -> None:
        """Phase `name` begins; `end` ends it."""
        self._charge()
        self._open.append(name)
        self._seconds[name] += 0.0  # a phase that took no time still took place

    def end(self) -> None:
        """The phase that began last ends."""
        self._charge()
        self._open.pop()

    def lap(self) -> dict[str, float]:
        """Seconds of each phase that took place since the last lap, and `other`; starts anew."""
        self._charge()
        seconds = dict(self._seconds)
        self._seconds.clear()
        return seconds

    def _charge(self) -> None:
        if self._is_cuda:
            torch.cuda.synchronize(self._device)
        now = self._now()
        self._seconds[self._open[-1] if self._open else OTHER] += now - self._mark
        self._mark = now


def phase_metrics(
    seconds: Mapping[str, float], sampled_tokens: int, trained_tokens: int
) -> dict[str, float]:
    """Metrics of one rollout step from the lap of its clock.

    sampled_tokens: completion tokens of all groups, dropped ones included. trained_tokens: those
    that the updates saw. A speed is left out where its time is 0.
    """
    whole = sum(seconds.values())
    speeds = {
        "speed/generate_tokens_per_s": (sampled_tokens, seconds.get("generate", 0.0)),
        "speed/update_tokens_per_s": (trained_tokens, sum(seconds.get(p, 0.0) for p in UPDATE)),
        "speed/tokens_per_s": (sampled_tokens, whole),
    }
    times = {f"time/{name}_s": value for name, value in seconds.items()}
    rates = {name: tokens / spent for name, (tokens, spent) in speeds.items() if spent > 0}
    return {**times, "time/step_s": whole, **rates}
