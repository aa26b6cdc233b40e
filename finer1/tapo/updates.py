"""From groups to tensors: the updates of a rollout step, each in parts that fit the memory.

Shape letters: R rollouts, T completion tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from finer1.model_params import TapoParams
from finer1.policy.encoding import (
    Conditions,
    EncodedPrompt,
    condition_on,
    encode_prompts,
    image_key,
    stack_completions,
)
from finer1.policy.forward import Forward, score_completions
from finer1.policy.unwrapping import unwrap
from finer1.tapo.advantages import group_advantages
from finer1.tapo.phases import PhaseClock
from finer1.tapo.rollouts import RolloutGroup
from finer1.tapo.shares import Share


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
    is_idle: bool = False
    """It runs but counts for nothing (see finer1/tapo/shares.py)."""


@dataclass(frozen=True)
class Update:
    """One optimizer step."""

    micro_batches: list[MicroBatch]
    """Empty when no group is left for this update: the weights stay."""
    num_tokens: int
    """Completion tokens of all its rollouts, those of other processes included."""


def build_updates(
    model: Any,
    processor: Any,
    shares: Sequence[Share],
    settings: TapoParams,
    system: str,
    forward: Forward,
    clock: PhaseClock,
) -> list[Update]:
    """The updates of a step, one per share.

    model: may be wrapped. Adds what the behavior policy must give before the weights change: old
    log-probabilities from the second update on, and the negative's without gradient; `clock` gets
    their time.
    """
    updates: list[Update] = []
    known: dict[bytes, EncodedPrompt] = {}
    for number, share in enumerate(shares):
        batches = [
            lay_out(model, processor, part, settings, system, needs_negative(settings), known)
            for part in share.parts
        ]
        for place, batch in enumerate(batches):
            batch.is_idle = place >= len(batches) - share.num_idle
            if number > 0:
                with clock.phase("old"):
                    batch.old_logprobs = _score(model, batch.conditions, batch, settings, forward)
            if batch.negatives is not None and not settings.negative_gradient:
                with clock.phase("negative"):
                    batch.negative_logprobs = _score(
                        model, batch.negatives, batch, settings, forward
                    )
        updates.append(Update(batches, share.num_tokens))
    return updates


def needs_negative(settings: TapoParams) -> bool:
    """True when a term of the loss depends on the negative image."""
    has_entropy = settings.negative_entropy_coef > 0 and settings.negative_gradient
    return settings.inter_class_coef > 0 or has_entropy


def lay_out(
    model: Any,
    processor: Any,
    groups: Sequence[RolloutGroup],
    settings: TapoParams,
    system: str,
    has_negatives: bool,
    known: dict[bytes, EncodedPrompt] | None = None,
) -> MicroBatch:
    """The groups as tensors; `has_negatives`: with what their completions are contrasted with.

    known: images that are processed already, see encode_prompts; gets those of the groups.
    """
    known = {} if known is None else known
    device, pad_id = unwrap(model).device, processor.tokenizer.pad_token_id
    completions = [tokens for group in groups for tokens in group.completions]
    ids, mask = stack_completions(completions, pad_id, device)
    rewards = torch.tensor([[reward.total for reward in group.rewards] for group in groups])
    negatives = None
    if has_negatives:
        for group in groups:
            known.setdefault(image_key(group.prompt.anchor), group.anchor)
            if settings.update_image == "own" and group.positive is not None:
                known.setdefault(image_key(group.prompt.positive), group.positive)
        encoded = encode_prompts(
            model,
            processor,
            [group.prompt.question for group in groups],
            [group.prompt.negative for group in groups],
            system,
            known,
        )
        size = settings.anchor_rollouts + settings.positive_rollouts
        negatives = condition_on([(prompt, size) for prompt in encoded], pad_id)
    return MicroBatch(
        conditions=condition_on(_update_prompts(groups, settings), pad_id),
        negatives=negatives,
        completion_ids=ids,
        completion_mask=mask,
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


@torch.no_grad()
def _score(
    model: Any,
    conditions: Conditions,
    batch: MicroBatch,
    settings: TapoParams,
    forward: Forward,
) -> torch.Tensor:
    return _score_branches(model, [conditions], batch, settings, forward)[0]


def score_rollouts(
    model: Any, batch: MicroBatch, settings: TapoParams, forward: Forward
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Log-probabilities [R, T] of the batch's completions, and those under the negative image.

    Both come from one call of `model`, which may be wrapped, unless the negative's are known
    already or not needed (None).
    """
    if batch.negatives is None or batch.negative_logprobs is not None:
        branches = [batch.conditions]
    else:
        branches = [batch.conditions, batch.negatives]
    scored = _score_branches(model, branches, batch, settings, forward)
    return scored[0], scored[1] if len(scored) == 2 else batch.negative_logprobs


def _score_branches(
    model: Any,
    branches: Sequence[Conditions],
    batch: MicroBatch,
    settings: TapoParams,
    forward: Forward,
) -> list[torch.Tensor]:
    return score_completions(
        model,
        branches,
        batch.completion_ids,
        batch.completion_mask,
        settings.temperature,
        forward,
    )
