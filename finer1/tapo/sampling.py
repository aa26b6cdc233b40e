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


@dataclass(frozen=True)
class KeepCounts:
    """Groups of the last steps, older ones counting for less."""

    survivors: float = 0.0
    sampled: float = 0.0

    @property
    def keep_rate(self) -> float:
        """Share expected to survive: Laplace's rule, so never 0; 1 when nothing is known."""
        return (self.survivors + 1) / (self.sampled + 2) if self.sampled else 1.0

    def plus(self, survivors: int, sampled: int) -> "KeepCounts":
        """These and further groups."""
        return KeepCounts(self.survivors + survivors, self.sampled + sampled)

    def faded(self, decay: float) -> "KeepCounts":
        """The same, counting for less."""
        return KeepCounts(self.survivors * decay, self.sampled * decay)


def is_informative(accuracies: Sequence[float], settings: TapoParams) -> bool:
    """True when the mean accuracy of a group lies strictly between the two bounds.

    Without dynamic sampling every group counts: its rewards may differ by the format alone.
    """
    if not settings.dynamic_sampling:
        return True
    mean = sum(accuracies) / len(accuracies)
    return settings.keep_low < mean < settings.keep_high


def collect_groups(
    sample: Callable[[int], list[Group]],
    accuracies: Callable[[Group], Sequence[float]],
    recent: KeepCounts,
    settings: TapoParams,
) -> Kept[Group]:
    """Sample groups until enough survive or the refills are spent.

    sample(num_groups) gives new groups. recent: of earlier steps; more prompts are asked for at
    once when few survived, since one large generation costs less than several small ones. Surplus
    survivors are dropped, last ones first: the weights will have changed when they could be used.
    """
    needed = settings.prompts_per_step
    limit = math.inf if settings.max_resamples is None else settings.max_resamples
    kept: list[Group] = []
    sampled: list[Group] = []
    num_survivors, num_refills = 0, -1
    while len(kept) < needed and num_refills < limit:
        num_refills += 1
        keep_rate = recent.plus(num_survivors, len(sampled)).keep_rate
        groups = sample(_num_to_ask(needed - len(kept), keep_rate, settings))
        survivors = [group for group in groups if is_informative(accuracies(group), settings)]
        num_survivors += len(survivors)
        sampled += groups
        kept += groups if settings.keep_when_all_degenerate and not survivors else survivors
    return Kept(kept[:needed], sampled, num_survivors, num_refills, len(kept) < needed)


def _num_to_ask(missing: int, keep_rate: float, settings: TapoParams) -> int:
    # No refills: one batch, of which all or the mixed groups are trained on.
    if settings.max_resamples == 0 or not settings.dynamic_sampling:
        return missing
    # Rounded first: 10 x 1.1 is 11.000000000000002.
    asked = math.ceil(round(missing / keep_rate * settings.oversample_margin, 6))
    return min(asked, settings.max_oversample * settings.prompts_per_step)
