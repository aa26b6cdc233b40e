"""Intervals of accuracies and of paired differences, by a bootstrap over classes.

Questions about one class stand or fall together, so whole classes are resampled, not questions;
where several trained seeds are pooled, seeds are resampled too, crossed with the classes.

Shape letters: N questions, S runs (seeds), K classes, R resamples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Interval:
    """A mean with its percentile interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are drawn."""

    samples: int
    """Resamples (R)."""
    confidence: float
    """Level, 0.95."""
    seed: int
    """Equal seeds and classes give equal resamples, so that intervals can be compared."""


def mean_interval(
    values: Sequence[float],
    classes: Sequence[str],
    bootstrap: Bootstrap,
    runs: Sequence[int] | None = None,
) -> Interval:
    """Mean of `values` over questions, and its interval when whole classes are resampled.

    values: [N], one per question: 0 or 1 for an accuracy, -1, 0 or 1 for a paired difference
    (paired_values). classes: [N]. runs: [N], the seed of each value's run; given, runs are
    resampled as well. A resample's mean is over its questions, so large classes weigh more.
    Raises ValueError on no values. With one class the interval has no width: nothing is known
    about other classes then.
    """
    return mean_intervals({"": values}, classes, bootstrap, runs)[""]


def mean_intervals(
    columns: Mapping[str, Sequence[float]],
    classes: Sequence[str],
    bootstrap: Bootstrap,
    runs: Sequence[int] | None = None,
) -> dict[str, Interval]:
    """mean_interval of several values of the same questions, which share their resamples.

    columns: name -> [N].
    """
    if not len(classes):
        raise ValueError("an interval needs at least one question")
    row_index, num_rows = _numbered([0] * len(classes) if runs is None else runs)
    class_index, num_classes = _numbered(classes)
    cells = row_index * num_classes + class_index, (num_rows, num_classes)
    generator = np.random.default_rng(bootstrap.seed)
    class_weights = _weights(num_classes, bootstrap.samples, generator)
    run_weights = np.ones((bootstrap.samples, 1))
    if runs is not None:
        run_weights = _weights(num_rows, bootstrap.samples, generator)
    counts = _sums(np.ones(len(classes)), *cells)
    sizes = _resampled(counts, run_weights, class_weights)
    tail = (1 - bootstrap.confidence) / 2
    intervals = {}
    for name, values in columns.items():
        sums = _sums(values, *cells)
        totals = _resampled(sums, run_weights, class_weights)
        # A resample may hold no question at all where runs ask about different classes.
        means = totals[sizes > 0] / sizes[sizes > 0]
        low, high = np.quantile(means, (tail, 1 - tail))
        intervals[name] = Interval(float(sums.sum() / counts.sum()), float(low), float(high))
    return intervals


@dataclass(frozen=True)
class Part:
    """Values of one side of a table, each with its class and the run that it is from."""

    values: Sequence[float]
    """[N]."""
    classes: Sequence[str]
    """[N]."""
    runs: Sequence[int]
    """[N], seeds."""


def average_interval(
    parts: Sequence[Part], bootstrap: Bootstrap, resample_runs: bool = True
) -> Interval:
    """Mean over parts, equally weighted, of each part's mean, with its interval.

    The classes of each part are resampled apart, the runs of all of them together. One part gives
    what mean_interval does. A resample in which some part has no question does not count.
    """
    if len(parts) == 1:
        (part,) = parts
        runs = part.runs if resample_runs else None
        return mean_interval(part.values, part.classes, bootstrap, runs)
    generator = np.random.default_rng(bootstrap.seed)
    rows = {run: place for place, run in enumerate(sorted({r for p in parts for r in p.runs}))}
    tables = []
    for part in parts:
        class_index, size = _numbered(part.classes)
        cells = np.array([rows[run] for run in part.runs]) * size + class_index
        sums = (
            _sums(column, cells, (len(rows), size))
            for column in (part.values, np.ones(len(part.values)))
        )
        tables.append((*sums, _weights(size, bootstrap.samples, generator)))
    run_weights = np.ones((bootstrap.samples, len(rows)))
    if resample_runs:
        run_weights = _weights(len(rows), bootstrap.samples, generator)
    totals = np.array([_resampled(sums, run_weights, weights) for sums, _, weights in tables])
    sizes = np.array([_resampled(counts, run_weights, weights) for _, counts, weights in tables])
    whole = (sizes > 0).all(axis=0)
    means = (totals[:, whole] / sizes[:, whole]).mean(axis=0)
    tail = (1 - bootstrap.confidence) / 2
    low, high = np.quantile(means, (tail, 1 - tail))
    value = np.mean([sums.sum() / counts.sum() for sums, counts, _ in tables])
    return Interval(float(value), float(low), float(high))


def paired_values(
    questions: Sequence[str],
    values: Sequence[float],
    base_questions: Sequence[str],
    base_values: Sequence[float],
) -> list[float]:
    """value - base value of each question, in the order of `questions`.

    Raises ValueError unless both hold the same questions, each once.
    """
    base = dict(zip(base_questions, base_values, strict=True))
    if len(set(questions)) != len(questions) or len(base) != len(base_questions):
        raise ValueError("a question comes twice; a paired difference needs each question once")
    if set(questions) != set(base):
        raise ValueError("a paired difference needs both models' values for the same questions")
    return [value - base[key] for key, value in zip(questions, values, strict=True)]


def macro_mean(values: Sequence[float], classes: Sequence[str]) -> float:
    """Mean over classes of the mean over each class's questions."""
    index, size = _numbered(classes)
    sums = _sums(values, index, (1, size))
    return float((sums / _sums(np.ones(len(classes)), index, (1, size))).mean())


def _numbered(names: Sequence[str] | Sequence[int]) -> tuple[NDArray[np.intp], int]:
    """Each name's place among the distinct ones in order, [N], and their number."""
    distinct: list[Any] = sorted(set(names))
    places = {name: place for place, name in enumerate(distinct)}
    return np.fromiter((places[name] for name in names), np.intp, len(names)), len(places)


def _sums(
    values: Sequence[float] | NDArray[np.float64], cells: NDArray[np.intp], shape: tuple[int, int]
) -> NDArray[np.float64]:
    """Sum of the values in each run and class: [S, K]."""
    size = shape[0] * shape[1]
    sums = np.bincount(cells, np.asarray(values, dtype=float), size)
    return np.asarray(sums, dtype=float).reshape(shape)


def _resampled(
    cells: NDArray[np.float64],
    run_weights: NDArray[np.float64],
    class_weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Total of [S, K] cells in each resample: [R]."""
    return np.asarray(((run_weights @ cells) * class_weights).sum(axis=1))


def _weights(size: int, samples: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """How often each of `size` units comes in each resample: [R, size], rows sum to `size`."""
    return generator.multinomial(size, [1 / size] * size, size=samples).astype(float)
