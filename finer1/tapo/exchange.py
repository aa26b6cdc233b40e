"""What the processes of one run tell each other.

Each process samples a share of the prompts and trains on a share of the groups. All of them decide
alike, since each learns the completions and rewards of every group; those are small, unlike the
images, which a process makes anew where it trains on a group that another one sampled.
"""

from collections.abc import Sequence

from finer1.policy.processes import World
from finer1.tapo.rollouts import RolloutGroup, RolloutSampler


def sample_together(
    sampler: RolloutSampler, numbers: Sequence[int], world: World
) -> list[RolloutGroup]:
    """The groups of the prompts of these numbers, in order; each process samples a share."""
    own = {
        group.outcome.number: group for group in sampler.sample(numbers[world.rank :: world.size])
    }
    outcomes = world.gather([group.outcome for group in own.values()])
    outcomes.sort(key=lambda outcome: outcome.number)
    return [own.get(outcome.number) or sampler.hear(outcome) for outcome in outcomes]
