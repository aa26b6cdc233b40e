"""Dialogues as tensors, and the language model's loss on them.

Shapes: B dialogues, T tokens of the longest, S scored tokens, K visual tokens, D width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from transformers import Qwen2Tokenizer

from finer1.world.architecture import IMAGE_TOKENS, MERGE, PATCH, Model
from finer1.world.drawing import SIZE
from finer1.world.language import Dialogue

_TURN = "<|im_start|>user\n{image}{user}<|im_end|>\n<|im_start|>assistant\n"
_IMAGE = f"<|vision_start|>{'<|image_pad|>' * IMAGE_TOKENS}<|vision_end|>"


@dataclass(frozen=True)
class Batch:
    """Right-padded dialogues, all with an image or all without."""

    ids: Tensor
    """[B, T]"""
    weights: Tensor
    """[B, T], weight of each token's own prediction, 0 where it is not scored."""
    images: Tensor
    """[B] rows of the pool; empty for text."""


def prompt_text(user: str, has_image: bool) -> str:
    """What the chat template gives, with the image token repeated as the processor does."""
    return _TURN.format(user=user, image=_IMAGE if has_image else "")


def collate(dialogues: list[Dialogue], tokenizer: Qwen2Tokenizer) -> Batch:
    """One batch of dialogues.

    A dialogue of n scored tokens weighs sqrt(n): long rationales shall neither drown the short
    captions nor be drowned by them.
    """
    rows = []
    for item in dialogues:
        texts = [
            prompt_text(item.user, item.image is not None) + item.given,
            f"{item.target}<|im_end|>",
        ]
        rows.append(tokenizer(texts, add_special_tokens=False).input_ids)
    width = max(len(start) + len(end) for start, end in rows)
    ids = torch.full((len(rows), width), tokenizer.pad_token_id)
    weights = torch.zeros(len(rows), width)
    for row, (start, end) in enumerate(rows):
        ids[row, : len(start) + len(end)] = torch.tensor(start + end)
        weights[row, len(start) : len(start) + len(end)] = len(end) ** -0.5
    images = [item.image for item in dialogues if item.image is not None]
    return Batch(ids, weights, torch.tensor(images, dtype=torch.long))


def batch_loss(model: Model, batch: Batch, features: Tensor | None) -> Tensor:
    """Weighted sum of cross-entropies, with gradient.

    features: [pool, K, D] visual tokens; None for text.
    """
    language = model.model.language_model
    embeds = language.embed_tokens(batch.ids)
    if features is not None:
        visual = features[batch.images].flatten(0, 1).to(embeds.dtype)
        places = (batch.ids == model.config.image_token_id).unsqueeze(-1)
        embeds = embeds.masked_scatter(places, visual)
    length = batch.ids.shape[1]
    first = _image_start(model, batch) if features is not None else None
    # Padding lies on the right: causal attention never looks at it, so no mask is needed.
    hidden = language(
        inputs_embeds=embeds,
        position_ids=positions(length, first)[:, None].expand(-1, len(embeds), -1),
        use_cache=False,
    ).last_hidden_state
    scored = batch.weights[:, 1:] > 0
    logits = model.lm_head(hidden[:, :-1][scored])
    losses = functional.cross_entropy(logits, batch.ids[:, 1:][scored], reduction="none")
    return (losses * batch.weights[:, 1:][scored]).sum()


def positions(length: int, first: int | None) -> Tensor:
    """M-RoPE positions [3, T]: temporal, row, column.

    first: place of the first visual token, None without an image.
    """
    if first is None:
        return torch.arange(length).expand(3, -1)
    side = SIZE // PATCH // MERGE
    rows = torch.arange(side).repeat_interleave(side)
    visual = first + torch.stack([torch.zeros_like(rows), rows, torch.arange(side).repeat(side)])
    before = torch.arange(first).expand(3, -1)
    after = torch.arange(length - first - IMAGE_TOKENS).expand(3, -1) + first + side
    return torch.cat([before, visual, after], dim=1)


def _image_start(model: Model, batch: Batch) -> int:
    """Place of the first visual token, the same in every dialogue: images come first."""
    return int((batch.ids[0] == model.config.image_token_id).nonzero()[0, 0])
