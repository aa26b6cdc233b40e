"""Rollouts by the policy itself, in the process that trains it."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from finer1.policy.encoding import stack_prompts
from finer1.policy.generation import Completion, SamplingRule, sample_completions
from finer1.tapo.samplers.interface import RolloutRequest


class LocalEngine:
    """Samples from the model that is trained, so nothing needs to be handed over."""

    def __init__(self, model: Any, pad_id: int, batch_size: int) -> None:
        """batch_size: completions sampled at once."""
        self.number_format = str(model.dtype).removeprefix("torch.")
        self._model = model
        self._pad_id = pad_id
        self._batch_size = batch_size

    def sync(self, model: Any) -> None:
        """Use this model from now on."""
        self._model = model

    def sample(
        self, requests: Sequence[RolloutRequest], rule: SamplingRule
    ) -> list[list[Completion]]:
        """Each prompt is run once, and its rollouts go on from there."""
        sampled = []
        for part in _parts(requests, self._batch_size):
            batch = stack_prompts([request.prompt for request in part], self._pad_id)
            owners = [i for i, request in enumerate(part) for _ in request.places]
            chances = torch.cat([_uniforms(request, rule.max_tokens) for request in part])
            completions = iter(sample_completions(self._model, batch, owners, rule, chances))
            sampled += [[next(completions) for _ in request.places] for request in part]
        return sampled

    def sleep(self) -> None:
        """The policy trains with the same memory."""


def _parts(requests: Sequence[RolloutRequest], batch_size: int) -> Iterator[list[RolloutRequest]]:
    """Consecutive requests of `batch_size` completions at most; one that has more goes alone."""
    part: list[RolloutRequest] = []
    for request in requests:
        if part and sum(len(item.places) for item in [*part, request]) > batch_size:
            yield part
            part = []
        part.append(request)
    yield part


def _uniforms(request: RolloutRequest, max_tokens: int) -> torch.Tensor:
    """[places, max_tokens] random numbers in [0, 1), equal on all devices."""
    generator = torch.Generator()
    generator.manual_seed(request.seed)
    rows = torch.rand(request.places.stop, max_tokens, generator=generator)
    return rows[request.places.start :]
