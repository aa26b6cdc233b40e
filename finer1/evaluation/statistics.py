"""Intervals of accuracies and of paired differences, by a bootstrap over classes.

Questions about one class stand or fall together, so whole classes are resampled, not questions;
where several trained seeds are pooled, seeds are resampled too, crossed with the classes.

Shape letters: N questions, S runs (seeds), K classes, R resamples.
"""

from collections.abc import Sequence
from dataclasses import dataclass

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
    if not len(values):
        raise ValueError("an interval needs at least one question")
    sums, counts = _cells(values, classes, runs)
    generator = np.random.default_rng(bootstrap.seed)
    class_weights = _weights(sums.shape[1], bootstrap.samples, generator)
    if runs is None:
        run_weights = np.ones((bootstrap.samples, 1))
    else:
        run_weights = _weights(sums.shape[0], bootstrap.samples, generator)
    totals = np.einsum("rs,sk,rk->r", run_weights, sums, class_weights, optimize=True)
    sizes = np.einsum("rs,sk,rk->r", run_weights, counts, class_weights, optimize=True)
    # A resample may hold no question at all where runs ask about different classes.
    means = totals[sizes > 0] / sizes[sizes > 0]
    tail = (1 - bootstrap.confidence) / 2
    low, high = np.quantile(means, (tail, 1 - tail))
    return Interval(float(sums.sum() / counts.sum()), float(low), float(high))


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
    sums, counts = _cells(values, classes, None)
    return float((sums / counts).mean())


def _cells(
    values: Sequence[float], classes: Sequence[str], runs: Sequence[int] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum and count of the values of each run and class: two [S, K]."""
    columns, class_index = np.unique(np.asarray(classes, dtype=str), return_inverse=True)
    rows, run_index = np.unique([0] * len(values) if runs is None else runs, return_inverse=True)
    sums = np.zeros((len(rows), len(columns)))
    counts = np.zeros_like(sums)
    np.add.at(sums, (run_index, class_index), np.asarray(values, dtype=float))
    np.add.at(counts, (run_index, class_index), 1)
    return sums, counts


def _weights(size: int, samples: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """How often each of `size` units comes in each resample: [R, size], rows sum to `size`."""
    return generator.multinomial(size, [1 / size] * size, size=samples).astype(float)
