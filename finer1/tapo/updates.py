"""From groups to tensors: the updates of a rollout step, each in parts that fit the memory.

Shape letters: R rollouts, T completion tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from finer1.model_params import TapoParams
from finer1.policy.encoding import EncodedPrompt, PromptBatch, encode_prompts, stack_prompts
from finer1.policy.shared_prefix import completion_logprobs
from finer1.tapo.advantages import group_advantages
from finer1.tapo.rollouts import RolloutGroup


@dataclass(frozen=True)
class Conditions:
    """The prompts that completions are scored under."""

    prompts: PromptBatch
    owners: torch.Tensor
    """[R], the prompt of each rollout."""


@dataclass
class MicroBatch:
    """Rollouts of whole groups that go through the model at once."""

    conditions: Conditions
    negatives: Conditions | None
    """Under the negative image; None when no term needs it."""
    completion_ids: torch.Tensor
    """[R, T], padded on the right."""
    completion_mask: torch.Tensor
    """[R, T], true on completion tokens."""
    advantages: torch.Tensor
    """[R]"""
    old_logprobs: torch.Tensor | None = None
    """[R, T]; None stands for the policy's own, in the first update of a step."""
    negative_logprobs: torch.Tensor | None = None
    """[R, T], set when the negative's log-probabilities carry no gradient."""


@dataclass(frozen=True)
class Update:
    """One optimizer step."""

    micro_batches: list[MicroBatch]
    """Empty when no group is left for this update: the weights stay."""
    num_tokens: int
    """Completion tokens of all its rollouts."""


def build_updates(
    model: Any,
    processor: Any,
    groups: Sequence[RolloutGroup],
    settings: TapoParams,
    micro_batch: int,
    system: str,
) -> list[Update]:
    """Split the groups of a step into `settings.minibatches` updates of nearly equal size.

    Groups stay whole and in order. Adds what the behavior policy must give before the weights
    change: old log-probabilities from the second update on, and the negative's without gradient.
    """
    size = settings.anchor_rollouts + settings.positive_rollouts
    at_once = max(1, micro_batch // size)
    updates = []
    for number, part in enumerate(_split(groups, settings.minibatches)):
        pieces = [part[i : i + at_once] for i in range(0, len(part), at_once)]
        batches = [_micro_batch(model, processor, piece, settings, system) for piece in pieces]
        for batch in batches:
            if number > 0:
                batch.old_logprobs = _score(model, batch.conditions, batch, settings)
            if batch.negatives is not None and not settings.negative_gradient:
                batch.negative_logprobs = _score(model, batch.negatives, batch, settings)
        updates.append(Update(batches, sum(len(t) for g in part for t in g.completions)))
    return updates


def needs_negative(settings: TapoParams) -> bool:
    """True when a term of the loss depends on the negative image."""
    has_entropy = settings.negative_entropy_coef > 0 and settings.negative_gradient
    return settings.inter_class_coef > 0 or has_entropy


def _split(groups: Sequence[RolloutGroup], parts: int) -> list[Sequence[RolloutGroup]]:
    edges = [len(groups) * i // parts for i in range(parts + 1)]
    return [groups[edges[i] : edges[i + 1]] for i in range(parts)]


def _micro_batch(
    model: Any,
    processor: Any,
    groups: Sequence[RolloutGroup],
    settings: TapoParams,
    system: str,
) -> MicroBatch:
    device, pad_id = model.device, processor.tokenizer.pad_token_id
    completions = [torch.tensor(tokens) for group in groups for tokens in group.completions]
    lengths = torch.tensor([len(tokens) for tokens in completions])
    ids = torch.nn.utils.rnn.pad_sequence(completions, batch_first=True, padding_value=pad_id)
    rewards = torch.tensor([[reward.total for reward in group.rewards] for group in groups])
    negatives = None
    if needs_negative(settings):
        encoded = encode_prompts(
            model,
            processor,
            [group.prompt.question for group in groups],
            [group.prompt.negative for group in groups],
            system,
        )
        size = settings.anchor_rollouts + settings.positive_rollouts
        negatives = _conditions([(prompt, size) for prompt in encoded], pad_id)
    return MicroBatch(
        conditions=_conditions(_update_prompts(groups, settings), pad_id),
        negatives=negatives,
        completion_ids=ids.to(device),
        completion_mask=(torch.arange(ids.shape[1]) < lengths.unsqueeze(-1)).to(device),
        advantages=group_advantages(rewards, settings.advantage_eps).flatten().to(device),
    )


def _update_prompts(
    groups: Sequence[RolloutGroup], settings: TapoParams
) -> list[tuple[EncodedPrompt, int]]:
    """The prompts to train under, each with its number of rollouts."""
    n1, n2 = settings.anchor_rollouts, settings.positive_rollouts
    if settings.update_image == "anchor":
        return [(group.anchor, n1 + n2) for group in groups]
    pairs = [((group.anchor, n1), (group.positive, n2)) for group in groups]
    return [(prompt, n) for pair in pairs for prompt, n in pair if prompt is not None and n]


def _conditions(prompts: list[tuple[EncodedPrompt, int]], pad_id: int) -> Conditions:
    batch = stack_prompts([prompt for prompt, _ in prompts], pad_id)
    owners = [i for i, (_, count) in enumerate(prompts) for _ in range(count)]
    return Conditions(batch, torch.tensor(owners, device=batch.token_ids.device))


@torch.no_grad()
def _score(
    model: Any, conditions: Conditions, batch: MicroBatch, settings: TapoParams
) -> torch.Tensor:
    return score_rollouts(model, conditions, batch, settings)


def score_rollouts(
    model: Any, conditions: Conditions, batch: MicroBatch, settings: TapoParams
) -> torch.Tensor:
    """Log-probabilities [R, T] of the batch's completions under the prompts of `conditions`."""
    return completion_logprobs(
        model,
        conditions.prompts,
        conditions.owners,
        batch.completion_ids,
        batch.completion_mask,
        settings.temperature,
    )
