"""Log-probabilities of completions under one or several conditions, in one call of the model.

The call goes through whatever the trainer has wrapped around the model, so that the hooks of
DDP, FSDP2 and PEFT run.

Shape letters: R rollouts, T completion tokens.
"""

import logging
from collections.abc import Sequence
from typing import Any, Literal

import torch

from finer1.policy.encoding import Conditions
from finer1.policy.packed import obstacle, packed_inputs
from finer1.policy.plain import plain_inputs
from finer1.policy.scoring_head import install_scoring
from finer1.policy.unwrapping import unwrap

Forward = Literal["packed", "plain"]
"""Prompts shared by their completions, or repeated for each."""


def score_completions(
    model: Any,
    branches: Sequence[Conditions],
    completion_ids: torch.Tensor,
    completion_mask: torch.Tensor,
    temperature: float,
    forward: Forward,
) -> list[torch.Tensor]:
    """Log-probabilities [R, T] of the completion tokens under each branch, float32.

    model: may be wrapped. completion_ids and completion_mask: [R, T], padded on the right; 0 comes
    back on padding. The logits are divided by `temperature`. Where the model does not support
    `packed`, the log says so and `plain` is used.
    """
    base = unwrap(model)
    install_scoring(base, temperature)
    build_inputs = packed_inputs if _is_packed(base, forward) else plain_inputs
    inputs = build_inputs(base, branches, completion_ids, completion_mask, temperature)
    logprobs = model(**inputs).log_probs.squeeze(0).float()
    parts = logprobs.split([len(logprobs) // len(branches)] * len(branches))
    empty = torch.zeros(completion_mask.shape, device=completion_mask.device)
    return [empty.masked_scatter(completion_mask, part) for part in parts]


def _is_packed(model: Any, forward: Forward) -> bool:
    """Whether the packed forward is wanted and possible; says once for a model if only wanted."""
    if forward == "plain":
        return False
    reason = obstacle(model)
    if reason is not None and not getattr(model, "_was_told_plain", False):
        model._was_told_plain = True
        logging.getLogger(__name__).warning(
            "runtime.forward: packed does not support %s; plain is used", reason
        )
    return reason is None
