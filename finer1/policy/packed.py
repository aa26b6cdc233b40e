"""The packed row: every prompt once, then every completion under every condition.

    [prompt_1[:-1] | ... | prompt_Q[:-1] | segment_1 | segment_2 | ...]

A segment is the last token of its prompt and its completion without the last token, so each of
its tokens predicts a completion token. All groups of a micro-batch and all conditions (anchor and
negative image) lie in one row: one call of the model, one gradient of the head's weights.

Shape letters: Q prompts, P prompt tokens, R rollouts, T completion tokens, S tokens of the row.
"""

from collections.abc import Sequence
from typing import Any

import torch

from finer1.policy.encoding import Conditions, PromptBatch, distinct_images
from finer1.policy.families.interface import family_of
from finer1.policy.packed_attention import SHARED_PREFIX, register
from finer1.policy.packed_plan import AttentionPlan, Span
from finer1.policy.scoring_head import PackedImages, Scoring


def obstacle(model: Any) -> str | None:
    """Why the transformers model `model` cannot score packed rows; None when it can."""
    config = model.config
    text = config.get_text_config()
    if not family_of(model).packs:
        return f"model type {config.model_type}"
    if text._attn_implementation not in ("sdpa", SHARED_PREFIX):
        return f"attention implementation {text._attn_implementation} (only with sdpa)"
    if set(text.layer_types) != {"full_attention"}:
        return "sliding-window attention"
    return None


def packed_inputs(
    model: Any,
    branches: Sequence[Conditions],
    completion_ids: torch.Tensor,
    completion_mask: torch.Tensor,
    temperature: float,
) -> dict[str, Any]:
    """Keyword arguments of the model's call that scores all branches' completions, in order.

    model: the transformers model, without `obstacle`; its language model is set to the packed
    attention, which leaves calls without a plan to SDPA.
    """
    register()
    model.config.get_text_config()._attn_implementation = SHARED_PREFIX
    prefixes, segments = _lay_out(branches, completion_mask.sum(dim=1).tolist())
    blocks = sum(span.length for span in prefixes), sum(span.length for span in segments)
    parts = [_prefix_tokens(branch.prompts) for branch in branches]
    parts += [_segment_tokens(branch, completion_ids, completion_mask) for branch in branches]
    row, device = torch.cat([ids for ids, _ in parts]), completion_ids.device
    is_image = row[: blocks[0]] == model.config.image_token_id
    images, order = distinct_images([p for branch in branches for p in branch.prompts.images])
    scoring = Scoring(
        positions=torch.arange(blocks[0], len(row), device=device),
        temperature=temperature,
        attention=AttentionPlan(prefixes + segments, blocks, device),
        images=PackedImages(tuple(images), tuple(order), is_image.nonzero().squeeze(-1)),
    )
    return {
        "input_ids": row.unsqueeze(0),
        "position_ids": torch.cat([places for _, places in parts], dim=1).unsqueeze(1),
        # As a finished mapping, so that no mask is built.
        "attention_mask": {"full_attention": None},
        "shift_labels": completion_ids[completion_mask].repeat(len(branches)).unsqueeze(0),
        "scoring": scoring,
    }


def _lay_out(
    branches: Sequence[Conditions], lengths: Sequence[int]
) -> tuple[list[Span], list[Span]]:
    """Prefixes and segments of all branches; lengths: [R], tokens of each completion."""
    start, prefixes = 0, []
    for branch in branches:
        for prompt in branch.prompts.images:
            prefixes.append(Span(start, len(prompt.token_ids) - 1))
            start += prefixes[-1].length
    segments, first = [], 0
    for branch in branches:
        for owner, length in zip(branch.owners.tolist(), lengths, strict=True):
            prefix = prefixes[first + owner]
            segments.append(Span(start, length, prefix.start, prefix.length))
            start += length
        first += len(branch.prompts.images)
    return prefixes, segments


def _prefix_tokens(prompts: PromptBatch) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids [S] and positions [3, S] of the prompts without their last tokens."""
    ids = torch.cat([prompt.token_ids[:-1] for prompt in prompts.images])
    return ids, torch.cat([prompt.positions[:, :-1] for prompt in prompts.images], dim=1)


def _segment_tokens(
    branch: Conditions, completion_ids: torch.Tensor, completion_mask: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids [S] and positions [3, S] of the branch's segments."""
    prompts, owners = branch.prompts, branch.owners
    last = prompts.token_ids[:, -1].index_select(0, owners)
    ids = torch.cat([last.unsqueeze(-1), completion_ids[:, :-1]], dim=1)
    before = prompts.next_positions.index_select(0, owners) - 1
    steps = torch.arange(completion_ids.shape[1], device=completion_ids.device)
    places = (before.unsqueeze(-1) + steps)[completion_mask]
    return ids[completion_mask], places.expand(3, -1)
