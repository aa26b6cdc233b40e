"""Whether a paired difference is decided: it differs, there is no difference, or it is open.

Decided means that the interval over classes and seeds excludes zero (differs), or lies within a
margin of zero (no difference). Otherwise it is open, and the variance components of the difference
say how many classes or seeds would decide.

Model of the mean difference of class k at seed s, all effects random and independent:

    d_sk = mu + class_k + seed_s + rest_sk

Shape letters: N values, S seeds, K classes, C pairs of a class and a seed that have a value.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from finer1.evaluation.statistics import Bootstrap, Interval, Part, average_interval

Answer = Literal["differs", "no difference", "open"]


@dataclass(frozen=True)
class Components:
    """Variances of the model's effects, none below zero."""

    classes: float
    seeds: float
    rest: float
    """Of a class's mean at one seed: both together, and the questions of that class."""


@dataclass(frozen=True)
class Needed:
    """What would decide, if effect and variances stay as they are observed."""

    num_classes: int | None
    """Classes per seed, with the seeds there are; None where no number would do."""
    num_seeds: int | None
    """Seeds, with the classes there are; None where no number would do."""
    factor: float
    """How many times as many of both."""


@dataclass(frozen=True)
class Decision:
    """What a paired difference says."""

    answer: Answer
    interval: Interval
    """Of the difference, classes and seeds resampled."""
    margin: float
    """Differences smaller than this count as none."""
    num_classes: int
    """Per seed, in mean, rounded."""
    num_seeds: int
    components: Components | None
    """None with one seed, which says nothing of others."""
    needed: Needed | None
    """None when decided, or with one seed."""


def decide(
    differences: Sequence[float],
    classes: Sequence[str],
    seeds: Sequence[int],
    bootstrap: Bootstrap,
    margin: float,
) -> Decision:
    """Whether the mean of paired differences is decided at bootstrap.confidence, and what would.

    differences: [N], shares, one per question and seed (paired_values), or one per class and seed;
    the first minus the second model. classes, seeds: [N], the class and the seed of each value; a
    class has the same name at every seed, and need not be asked about at each. margin: share, 0.02
    for 2 points.

    The interval is that of mean_interval with seeds resampled. `differs` when it excludes zero,
    `no difference` when it lies within the margin on both sides of zero, ends included; an interval
    that does both differs. With one seed the answer is always `open`: other seeds are unknown.

    What would decide: numbers at which the half-width, in the balanced case z sqrt(classes/K +
    seeds/S + rest/(S K)), falls to the effect (it would differ) or to the margin less the effect
    (no difference), whichever is wider; always more than there are. Raises ValueError on no values.
    """
    return decide_average((Part(differences, classes, seeds),), bootstrap, margin)


def decide_average(parts: Sequence[Part], bootstrap: Bootstrap, margin: float) -> Decision:
    """`decide` about the mean over parts, equally weighted, of each part's mean difference.

    parts: seen and unseen classes, each with values. The numbers of classes are those of all parts
    together; that the parts' means differ is no variance between classes.
    """
    interval = average_interval(parts, bootstrap)
    table, shape = _cell_means(parts, interval.value)
    num_classes = max(round(len(table) / shape[0]), 1)
    if shape[0] < 2:
        return Decision("open", interval, margin, num_classes, shape[0], None, None)
    components = _components(table, shape)
    answer = _answer(interval, margin)
    needed = None
    if answer == "open":
        reach = max(abs(interval.value), margin - abs(interval.value))
        limit = (reach / NormalDist().inv_cdf((1 + bootstrap.confidence) / 2)) ** 2
        needed = _needed(components, table, shape, limit)
    return Decision(answer, interval, margin, num_classes, shape[0], components, needed)


def _answer(interval: Interval, margin: float) -> Answer:
    if interval.low > 0 or interval.high < 0:
        return "differs"
    if -margin <= interval.low and interval.high <= margin:
        return "no difference"
    return "open"


def _cell_means(parts: Sequence[Part], value: float) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """[C, 3] of place of the seed, place of the class, mean, for each pair with values; (S, K).

    The mean of each part is brought to `value`.
    """
    cells: dict[tuple[int, tuple[int, str]], list[float]] = {}
    for number, part in enumerate(parts):
        shift = value - sum(part.values) / len(part.values)
        for item, name, seed in zip(part.values, part.classes, part.runs, strict=True):
            cells.setdefault((seed, (number, name)), []).append(item + shift)
    seed_place = {seed: place for place, seed in enumerate(sorted({seed for seed, _ in cells}))}
    class_place = {name: place for place, name in enumerate(sorted({name for _, name in cells}))}
    rows = [
        (seed_place[seed], class_place[name], sum(values) / len(values))
        for (seed, name), values in cells.items()
    ]
    return np.array(rows, dtype=float), (len(seed_place), len(class_place))


def _components(table: NDArray[np.float64], shape: tuple[int, int]) -> Components:
    """Moment estimates of the variances (Henderson's first method), negative ones as zero.

    The sums of squares of all values, of class totals, of seed totals and of the grand total have
    expectations linear in the variances; a class need not occur at each seed. In the balanced case
    this is the analysis of variance. Where classes and rest cannot be told apart, because no class
    occurs twice, the least-norm solution splits what there is.
    """
    seed_of, class_of = table[:, 0].astype(int), table[:, 1].astype(int)
    values, count = table[:, 2], len(table)
    per_seed, per_class = (
        np.bincount(seed_of, None, shape[0]),
        np.bincount(class_of, None, shape[1]),
    )
    grand = values.sum() ** 2 / count
    of_classes = (np.bincount(class_of, values) ** 2 / per_class).sum() - grand
    of_seeds = (np.bincount(seed_of, values) ** 2 / per_seed).sum() - grand
    of_all = (values**2).sum() - grand
    class_share, seed_share = _shares(table, shape)
    expected = [
        [count - class_share, count - seed_share, count - 1],
        [count - class_share, shape[1] - seed_share, shape[1] - 1],
        [shape[0] - class_share, count - seed_share, shape[0] - 1],
    ]
    found, *_ = np.linalg.lstsq(np.array(expected), np.array([of_all, of_classes, of_seeds]))
    return Components(*(max(float(value), 0.0) for value in found))


def _shares(table: NDArray[np.float64], shape: tuple[int, int]) -> tuple[float, float]:
    """Mean number of values that share a value's class, and its seed, itself included."""
    found = []
    for column, size in ((1, shape[1]), (0, shape[0])):
        number = np.bincount(table[:, column].astype(int), None, size)
        found.append(float((number**2).sum() / len(table)))
    return found[0], found[1]


def _needed(
    components: Components, table: NDArray[np.float64], shape: tuple[int, int], limit: float
) -> Needed:
    """limit: the variance of the mean that would do.

    More seeds are taken to ask about the classes there are, unless every seed has its own.
    """
    count, num_seeds = len(table), shape[0]
    num_classes = max(round(count / num_seeds), 1)
    class_share, seed_share = _shares(table, shape)
    by_class = components.classes * class_share / count
    by_seed = components.seeds * seed_share / count
    rest = components.rest / count
    if shape[1] == count:  # new seeds then bring new classes, too
        by_class, rest = 0.0, by_class + rest
    linear = by_class + by_seed
    # linear / f + rest / f^2 = limit
    factor = (linear + math.sqrt(linear**2 + 4 * limit * rest)) / (2 * limit)
    return Needed(
        _more(num_classes, by_class + rest, limit - by_seed),
        _more(num_seeds, by_seed + rest, limit - by_class),
        max(factor, 1 + 1 / num_seeds),
    )


def _more(count: int, variance: float, limit: float) -> int | None:
    """Units, of which `count` give `variance`, that give `limit`; more than there are."""
    if limit <= 0:
        return None
    return max(math.ceil(count * variance / limit), count + 1)
