"""What vLLM is asked and answers, wherever it runs."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from finer1.engines.interface import Request
from finer1.policy.generation import Completion, SamplingRule


@dataclass(frozen=True)
class Answer:
    """Completions of one request."""

    prompt_ids: list[int]
    """The prompt as vLLM read it, a token per image feature."""
    completions: list[Completion]


class ServedModel(Protocol):
    """A model that vLLM runs."""

    number_format: str
    """Of its weights: float32, bfloat16."""

    def generate(
        self, requests: Sequence[Request], counts: Sequence[int], rule: SamplingRule
    ) -> list[Answer]:
        """As many completions of each request as `counts` says, in order.

        Completion i of a request is drawn with the seed `request.seed` + i.
        """
        ...

    def load(self, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
        """Replace the weights and forget what was computed with the old ones.

        weights: tensors by their names in a model folder. Wakes the model up.
        """
        ...

    def sleep(self) -> None:
        """Give memory back until the next `load`, where that is possible."""
        ...


class StreamingModel(ServedModel, Protocol):
    """A served model that gives each answer when it is ready."""

    def stream(
        self, requests: Sequence[Request], counts: Sequence[int], rule: SamplingRule
    ) -> Iterator[tuple[int, Answer]]:
        """As `generate`: the place of each request with its answer, in any order."""
        ...


def logit_bias(rule: SamplingRule) -> dict[int, float]:
    """What keeps the rule's suppressed tokens from being drawn; -100 is the lowest allowed."""
    return dict.fromkeys(rule.suppressed_ids, -100.0)
