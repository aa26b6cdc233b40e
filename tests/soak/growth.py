"""What long-lived processes hold, over time, and whether it grows."""

import csv
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

import psutil
from scipy.stats import theilslopes

WARM_UP = 1 / 3
"""Share of the time in which a server imports, fills its caches and opens its connections."""
MAY_GROW = {"rss": 0.1, "handles": 5.0}
"""By how much the fit may rise from the end of the warm-up to the end: of the resident memory a
share of its median, as Python's allocator gives back whole arenas only, and of open handles so
many, as SQLite and HTTP pools come and go by some. In an hour a server that holds 300 MB fails
from a leak of 45 MB on."""
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Sample:
    """What a process and its children held at a moment."""

    seconds: float
    name: str
    rss: int
    """Bytes of resident memory."""
    handles: int
    """Open files, sockets and the like."""


@dataclass(frozen=True)
class Growth:
    """How one of the numbers of a process went."""

    name: str
    what: Literal["rss", "handles"]
    first: float
    """Median of the first tenth after the warm-up."""
    last: float
    """Median of the last tenth."""
    per_hour: float
    """Slope of the fit."""
    at_least: float
    """Rise over the time after the warm-up, by the lower bound of the slope."""
    bar: float

    @property
    def is_too_much(self) -> bool:
        """Whether it grows for certain, and by more than it may."""
        return self.at_least > self.bar


class Sampler(threading.Thread):
    """Takes a sample of each process every few seconds and adds it to a CSV file."""

    def __init__(
        self,
        processes: Callable[[], Mapping[str, Sequence[psutil.Process]]],
        file: Path,
        now: Callable[[], float],
        pause_s: float = 5.0,
    ) -> None:
        """processes: by name, those whose numbers are added up. now: seconds since the start."""
        super().__init__(daemon=True)
        self.samples: list[Sample] = []
        self._processes, self._file, self._now, self._pause_s = processes, file, now, pause_s
        self._ended = threading.Event()

    def run(self) -> None:
        """Sample until `end`."""
        with self._file.open("w", newline="", encoding="utf-8") as out:
            writer = csv.DictWriter(out, [field.name for field in fields(Sample)])
            writer.writeheader()
            while not self._ended.wait(self._pause_s):
                for name, family in self._processes().items():
                    sample = _look(round(self._now(), 1), name, family)
                    if sample is not None:
                        self.samples.append(sample)
                        writer.writerow(asdict(sample))
                out.flush()

    def end(self) -> None:
        """Take no more samples."""
        self._ended.set()
        self.join(60)


def growths(samples: Sequence[Sample]) -> list[Growth]:
    """How memory and handles of each process went after the warm-up.

    A Theil-Sen line (the median of the slopes of all pairs) is fitted, which a burst of work does
    not bend. Raises ValueError when a process has too few samples to tell.
    """
    start = min(sample.seconds for sample in samples)
    end = max(sample.seconds for sample in samples)
    warm = start + WARM_UP * (end - start)
    found = []
    for name in sorted({sample.name for sample in samples}):
        kept = [sample for sample in samples if sample.name == name and sample.seconds >= warm]
        if len(kept) < 20:
            raise ValueError(f"{name} has {len(kept)} samples after the warm-up; take longer")
        found += [_growth(name, what, kept) for what in ("rss", "handles")]
    return found


def _growth(name: str, what: Literal["rss", "handles"], kept: Sequence[Sample]) -> Growth:
    seconds = [sample.seconds for sample in kept]
    values = [float(getattr(sample, what)) for sample in kept]
    slope, _, low, _ = theilslopes(values, seconds, alpha=_CONFIDENCE)
    tenth = max(1, len(values) // 10)
    middle = _median(values)
    return Growth(
        name,
        what,
        first=_median(values[:tenth]),
        last=_median(values[-tenth:]),
        per_hour=3600 * float(slope),
        at_least=float(low) * (seconds[-1] - seconds[0]),
        bar=MAY_GROW[what] * (middle if what == "rss" else 1),
    )


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


def _look(seconds: float, name: str, family: Sequence[psutil.Process]) -> Sample | None:
    """None when none of them is alive."""
    rss = handles = 0
    for process in family:
        try:
            with process.oneshot():
                rss, handles = rss + process.memory_info().rss, handles + process.num_fds()
        except psutil.NoSuchProcess:
            continue
    return Sample(seconds, name, rss, handles) if handles else None
