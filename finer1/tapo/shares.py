"""Which groups a process trains on, and in which parts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from finer1.model_params import TapoParams
from finer1.policy.processes import World
from finer1.tapo.rollouts import RolloutGroup


@dataclass(frozen=True)
class Share:
    """What one process does for one update."""

    parts: list[list[RolloutGroup]]
    """Groups that go through the model at once."""
    num_idle: int
    """The last `num_idle` parts count for nothing. A process with fewer groups runs them to stay
    in step with the others: all wait for each other where gradients or weights are gathered."""
    num_tokens: int
    """Completion tokens of the update, those of all processes."""


def share_out(
    groups: Sequence[RolloutGroup], settings: TapoParams, micro_batch: int, world: World
) -> list[Share]:
    """This process's share of each of the `settings.minibatches` updates of a step.

    Updates are of nearly equal size; groups stay whole and in order. micro_batch: completions at
    once.
    """
    at_once = max(1, micro_batch // (settings.anchor_rollouts + settings.positive_rollouts))
    shares = []
    for update in _split(groups, settings.minibatches):
        hands = deal([group.num_tokens for group in update], world.size)
        own = [update[i] for i in hands[world.rank]]
        parts = [own[i : i + at_once] for i in range(0, len(own), at_once)]
        num_idle = math.ceil(max(map(len, hands)) / at_once) - len(parts)
        parts += [list(update[:1])] * num_idle
        shares.append(Share(parts, num_idle, sum(group.num_tokens for group in update)))
    return shares


def deal(sizes: Sequence[int], num_hands: int) -> list[list[int]]:
    """Indices of `sizes` in hands of nearly equal number and sum, in order within each hand.

    Largest first, dealt forth and back (0 1 2 2 1 0 0 ...): no hand always gets the larger one.
    """
    hands: list[list[int]] = [[] for _ in range(num_hands)]
    for place, index in enumerate(sorted(range(len(sizes)), key=lambda i: -sizes[i])):
        turn, seat = divmod(place, num_hands)
        hands[seat if turn % 2 == 0 else num_hands - 1 - seat].append(index)
    return [sorted(hand) for hand in hands]


def _split(groups: Sequence[RolloutGroup], parts: int) -> list[Sequence[RolloutGroup]]:
    edges = [len(groups) * i // parts for i in range(parts + 1)]
    return [groups[edges[i] : edges[i + 1]] for i in range(parts)]
