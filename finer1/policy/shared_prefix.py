"""Forward passes in which the rollouts of a prompt share its tokens.

All rollouts of a group continue the same prompt, so its keys and values are computed once and
repeated; with 60 prompt and 66 completion tokens that halves the work. Gradients flow back
through the shared part.

Shape letters: Q prompts, P prompt tokens, R rollouts, T completion tokens, D embedding.
"""

from dataclasses import dataclass
from typing import Any

import torch

from finer1.policy.encoding import PromptBatch, embed_prompts


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
    embeddings = embed_prompts(model, prompts)
    output = model.model(
        inputs_embeds=embeddings[:, :-1],
        attention_mask=prompts.mask[:, :-1].long(),
        position_ids=prompts.positions[:, :, :-1],
        use_cache=True,
    )
    for layer in output.past_key_values.layers:
        # index_select, not indexing: the backward of indexing adds up in no fixed order.
        layer.keys = layer.keys.index_select(0, owners)
        layer.values = layer.values.index_select(0, owners)
    return Prefix(
        cache=output.past_key_values,
        last=embeddings[:, -1:].index_select(0, owners),
        mask=prompts.mask.index_select(0, owners),
        next_positions=prompts.next_positions.index_select(0, owners),
    )


def completion_logprobs(
    model: Any,
    prompts: PromptBatch,
    owners: torch.Tensor,
    completion_ids: torch.Tensor,
    completion_mask: torch.Tensor,
    temperature: float,
) -> torch.Tensor:
    """Log-probabilities [R, T] of the completion tokens, float32; 0 on padding.

    owners: [R], the prompt in `prompts` that each completion continues. completion_ids and
    completion_mask: [R, T], padded on the right. The logits are divided by `temperature`.
    """
    prefix = run_prefix(model, prompts, owners)
    embeddings = model.get_input_embeddings()(completion_ids[:, :-1])
    steps = torch.arange(completion_ids.shape[1], device=completion_ids.device)
    positions = prefix.next_positions.unsqueeze(-1) - 1 + steps
    output = model.model(
        inputs_embeds=torch.cat([prefix.last, embeddings], dim=1),
        attention_mask=torch.cat([prefix.mask, completion_mask[:, :-1]], dim=1).long(),
        position_ids=positions.expand(3, -1, -1),
        past_key_values=prefix.cache,
        use_cache=True,
    )
    logits = model.lm_head(output.last_hidden_state).float() / temperature
    chosen = logits.gather(-1, completion_ids.unsqueeze(-1)).squeeze(-1)
    return torch.where(completion_mask, chosen - logits.logsumexp(dim=-1), 0.0)
