"""Dynamic sampling: only groups whose rollouts disagree are trained on (Sec. 3.2 of DAPO).

A group of all right or all wrong answers has zero advantage everywhere. Such groups are dropped
and refilled from further prompts, at most `max_resamples` times; when that is spent, the step
trains on what there is.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from finer1.model_params import TapoParams

Group = TypeVar("Group")


@dataclass(frozen=True)
class Kept(Generic[Group]):
    """The groups of one rollout step that are trained on."""

    groups: list[Group]
    """At most `prompts_per_step`; none when nothing survived and nothing is kept regardless."""
    sampled: list[Group]
    """All groups sampled in the step, in order."""
    num_survivors: int
    """Groups of `sampled` with mixed accuracy, surplus ones included."""
    num_refills: int
    is_exhausted: bool
    """The refills were spent before the batch was full."""


def is_informative(accuracies: Sequence[float], settings: TapoParams) -> bool:
    """True when the mean accuracy of a group lies strictly between the two bounds."""
    mean = sum(accuracies) / len(accuracies)
    return settings.keep_low < mean < settings.keep_high


def collect_groups(
    sample: Callable[[int], list[Group]],
    accuracies: Callable[[Group], Sequence[float]],
    keep_rate: float,
    settings: TapoParams,
) -> Kept[Group]:
    """Sample groups until enough survive or the refills are spent.

    sample(num_groups) gives new groups. keep_rate: share expected to survive, in
    (0, 1]; more prompts are asked for at once when it is low, since one large generation costs
    less than several small ones. Surplus survivors are dropped, last ones first.
    """
    needed = settings.prompts_per_step
    survivors: list[Group] = []
    sampled: list[Group] = []
    num_refills = -1
    while len(survivors) < needed and num_refills < settings.max_resamples:
        num_refills += 1
        missing = needed - len(survivors)
        groups = sample(_num_to_ask(missing, keep_rate, settings))
        sampled += groups
        survivors += [group for group in groups if is_informative(accuracies(group), settings)]
        keep_rate = smoothed_rate(len(survivors), len(sampled))
    groups = survivors[:needed]
    if not survivors and settings.keep_when_all_degenerate:
        groups = sampled[:needed]
    return Kept(groups, sampled, len(survivors), num_refills, len(survivors) < needed)


def smoothed_rate(num_survivors: int, num_sampled: int) -> float:
    """Share of surviving groups, in (0, 1): Laplace's rule, so that no count gives 0 or 1."""
    return (num_survivors + 1) / (num_sampled + 2)


def _num_to_ask(missing: int, keep_rate: float, settings: TapoParams) -> int:
    if settings.max_resamples == 0:  # no refills: one batch, its mixed groups are trained on
        return missing
    return min(math.ceil(missing / keep_rate), settings.max_oversample * settings.prompts_per_step)
