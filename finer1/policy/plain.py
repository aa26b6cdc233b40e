"""TRL's kind of forward: prompt and image repeated for each completion, rows padded.

The yardstick for the packed row, and what scores the completions where that is not supported.

Shape letters: R rollouts, P prompt tokens, T completion tokens.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence

from finer1.policy.encoding import Conditions
from finer1.policy.families.interface import family_of
from finer1.policy.scoring_head import Scoring


def plain_inputs(
    model: Any,
    branches: Sequence[Conditions],
    completion_ids: torch.Tensor,
    completion_mask: torch.Tensor,
    temperature: float,
) -> dict[str, Any]:
    """Keyword arguments of the model's call that scores all branches' completions, in order.

    model: the transformers model. Prompts are padded on the left to the longest of all branches.
    """
    rows = [branch.prompts.images[owner] for branch in branches for owner in branch.owners.tolist()]
    prompt_ids = pad_sequence([row.token_ids for row in rows], True, padding_side="left")
    mask = pad_sequence([torch.ones_like(row.token_ids) for row in rows], True, padding_side="left")
    width, is_scored = prompt_ids.shape[1], completion_mask.repeat(len(branches), 1)
    family, device = family_of(model), prompt_ids.device
    pixels = [row.pixel_values.to(device) for row in rows]
    images = family.call(pixels, torch.stack([row.grid for row in rows]))
    if family.has_axes:
        is_image = (prompt_ids == model.config.image_token_id).int()
        images["mm_token_type_ids"] = torch.nn.functional.pad(is_image, (0, is_scored.shape[1]))
    # Each position predicts the next token, from the last prompt token on.
    scored = torch.nn.functional.pad(is_scored, (width - 1, 1)).flatten().nonzero().squeeze(-1)
    return {
        "input_ids": torch.cat([prompt_ids, completion_ids.repeat(len(branches), 1)], dim=1),
        "attention_mask": torch.cat([mask, is_scored.long()], dim=1),
        **images,
        "shift_labels": completion_ids[completion_mask].repeat(len(branches)).unsqueeze(0),
        "scoring": Scoring(scored, temperature),
    }
