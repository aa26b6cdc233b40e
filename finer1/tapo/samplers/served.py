"""Rollouts by vLLM, in this process or behind an address."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch

from finer1.engines.interface import Request
from finer1.policy.generation import Completion, SamplingRule
from finer1.policy.processes import World
from finer1.policy.weights import named_weights
from finer1.serving.interface import Answer, ServedModel
from finer1.tapo.samplers.interface import RolloutRequest


class ServedEngine:
    """Hands each step's weights to vLLM and asks it once per image.

    Anchor and positive rollouts of a group are requests of their own, so each is sampled under
    its own image.
    """

    def __init__(self, served: ServedModel, system: str) -> None:
        self.number_format = served.number_format
        self._served = served
        self._system = system

    def sync(self, model: Any) -> None:
        """Push the policy's weights."""
        self._served.load(named_weights(model))

    def sample(
        self, requests: Sequence[RolloutRequest], rule: SamplingRule
    ) -> list[list[Completion]]:
        """As in RolloutEngine; the seed of a rollout is the group's seed plus its place."""
        asked = [
            Request(
                user=request.question,
                images=(request.image,),
                system=self._system,
                seed=request.seed + request.places.start,
            )
            for request in requests
        ]
        answers = self._served.generate(asked, [len(request.places) for request in requests], rule)
        for request, answer in zip(requests, answers, strict=True):
            if answer.prompt_ids != request.prompt.token_ids.tolist():
                raise ValueError(
                    f"vLLM reads {len(answer.prompt_ids)} prompt tokens where the policy reads "
                    f"{len(request.prompt.token_ids)}, or others: its model folder must have the "
                    "policy's tokenizer, chat template and image processor"
                )
        return [answer.completions for answer in answers]

    def sleep(self) -> None:
        """Let vLLM give its memory back."""
        self._served.sleep()


class SharedModel:
    """One served model for all processes of a run; the main one hands it the weights."""

    def __init__(self, served: ServedModel, world: World) -> None:
        self.number_format = served.number_format
        self._served = served
        self._world = world

    def generate(
        self, requests: Sequence[Request], counts: Sequence[int], rule: SamplingRule
    ) -> list[Answer]:
        """As in ServedModel; the requests of this process."""
        return self._served.generate(requests, counts, rule)

    def load(self, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
        """As in ServedModel; no process goes on before the weights are there."""
        if self._world.is_main:
            self._served.load(weights)
        else:
            for _ in weights:  # all must take part where weights are gathered
                pass
        self._world.hear_main(None)

    def sleep(self) -> None:
        """As in ServedModel, when no process has requests any more."""
        self._world.hear_main(None)
        if self._world.is_main:
            self._served.sleep()
