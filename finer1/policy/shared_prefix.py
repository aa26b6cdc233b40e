"""The prompt's part of sampling: keys and values of each prompt once, repeated for its rollouts.

For sampling alone: with gradient checkpointing transformers drops the cache from a training
forward, silently; training shares prompts in `packed`.

Shape letters: Q prompts, P prompt tokens, R rollouts, D embedding.
"""

from dataclasses import dataclass
from typing import Any

import torch

from finer1.policy.encoding import PromptBatch, embed_prompts
from finer1.policy.families.interface import family_of


@dataclass(frozen=True)
class Prefix:
    """All prompt tokens but the last, as keys and values, a row per rollout."""

    cache: Any
    """transformers cache of P - 1 tokens for R rows."""
    last: torch.Tensor
    """[R, 1, D], embedding of the last prompt token."""
    mask: torch.Tensor
    """[R, P], true on prompt tokens."""
    next_positions: torch.Tensor
    """[R], position of the first completion token."""


def run_prefix(model: Any, prompts: PromptBatch, owners: torch.Tensor) -> Prefix:
    """Run the prompts once and repeat them; owners: [R], the prompt of each rollout."""
    family = family_of(model)
    output = model.model(
        **_prefix_inputs(model, prompts),
        attention_mask=prompts.mask[:, :-1].long(),
        position_ids=(prompts.positions if family.has_axes else prompts.positions[0])[..., :-1],
        use_cache=True,
    )
    for layer in output.past_key_values.layers:
        layer.keys = layer.keys.index_select(0, owners)
        layer.values = layer.values.index_select(0, owners)
    return Prefix(
        cache=output.past_key_values,
        last=model.get_input_embeddings()(prompts.token_ids[:, -1:]).index_select(0, owners),
        mask=prompts.mask.index_select(0, owners),
        next_positions=prompts.next_positions.index_select(0, owners),
    )


def _prefix_inputs(model: Any, prompts: PromptBatch) -> dict[str, torch.Tensor]:
    """All prompt tokens but the last, never an image's, for the backbone's call."""
    family, ids = family_of(model), prompts.token_ids[:, :-1]
    if not family.is_deep:
        return {"inputs_embeds": embed_prompts(model, prompts)[:, :-1]}
    pixels = [prompt.pixel_values.to(ids.device) for prompt in prompts.images]
    grids = torch.stack([prompt.grid for prompt in prompts.images])
    return {"input_ids": ids, **family.call(pixels, grids)}
