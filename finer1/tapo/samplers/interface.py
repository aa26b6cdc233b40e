"""What an engine of rollouts takes and gives.

The trainer calls `sync` before it samples and `sleep` when it has enough: in between, the engine
holds the policy's present weights and the memory to run them. The log-probabilities that an
engine returns are for comparison with the trainer's own; losses never use them. They belong to
the image that was sampled, and a weight made of them (importance sampling) would bring the
rollouts of positive images, trained under the anchor, to nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from PIL import Image

from finer1.policy.encoding import EncodedPrompt
from finer1.policy.generation import Completion, SamplingRule


@dataclass(frozen=True)
class RolloutRequest:
    """Rollouts of one group under one image."""

    prompt: EncodedPrompt
    """Question and image as the policy reads them ..."""
    question: str
    image: Image.Image
    """... and as they were."""
    seed: int
    """Of the group. A rollout depends on this seed and its place, not on what is sampled beside
    it."""
    places: range
    """Places in the group of the rollouts to sample."""


class RolloutEngine(Protocol):
    """A sampler of rollouts."""

    number_format: str
    """The one that it computes in: float32, bfloat16, float16."""

    def sync(self, model: Any) -> None:
        """Take over the weights of the unwrapped policy; wake up for it."""
        ...

    def sample(
        self, requests: Sequence[RolloutRequest], rule: SamplingRule
    ) -> list[list[Completion]]:
        """A completion per place of each request, in order.

        Raises ValueError when the engine reads a prompt otherwise than the policy does.
        """
        ...

    def sleep(self) -> None:
        """Give memory back until the next `sync`."""
        ...
