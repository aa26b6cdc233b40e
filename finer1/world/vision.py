"""Skill S1's first half: the vision tower learns to see attributes, before any language.

Shapes: B images, N = 64 patches, K = 16 visual tokens, D their width.
"""

from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import (
    Qwen2_5_VisionTransformerPretrainedModel,
    apply_rotary_pos_emb_vision,
)
from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VisionTransformerPretrainedModel

from finer1.world.architecture import IMAGE_TOKENS, MERGE, PATCH
from finer1.world.drawing import SIZE
from finer1.world.taxonomy import ATTRIBUTES

Tower: TypeAlias = Qwen2_5_VisionTransformerPretrainedModel | Qwen2VisionTransformerPretrainedModel
"""Both have the same parts under the same names; what differs lies inside norms and MLPs."""


def to_patches(pixels: np.ndarray) -> Tensor:
    """The processor's `pixel_values` of uint8 images [B, SIZE, SIZE, 3], as [B, N, 384].

    A still image fills both frames of a temporal patch, hence the doubled pixels.
    """
    steps = SIZE // PATCH // MERGE
    scaled = torch.tensor(pixels).float().div_(127.5).sub_(1).permute(0, 3, 1, 2)
    grid = scaled.reshape(-1, 3, steps, MERGE, PATCH, steps, MERGE, PATCH)
    grid = grid.permute(0, 2, 5, 3, 6, 1, 4, 7).unsqueeze(6)
    grid = grid.expand(-1, -1, -1, -1, -1, -1, 2, -1, -1)
    return grid.reshape(len(pixels), (SIZE // PATCH) ** 2, -1)


def encode(tower: Tower, patches: Tensor) -> Tensor:
    """The tower's visual tokens [B, K, D] of `patches` [B, N, 384], with gradient.

    Equal to the tower's own forward, which runs attention image by image on a CPU; all images
    here are of one size, so that one batched attention serves.
    """
    weight = tower.patch_embed.proj.weight.flatten(1)
    hidden = functional.linear(patches, weight)
    cos, sin = tower.rotary_pos_emb(hidden, _positions())
    for block in tower.blocks:
        attention = block.attn
        mixed = attention.qkv(block.norm1(hidden)).unflatten(-1, (3, attention.num_heads, -1))
        query, key, value = mixed.unbind(2)
        query, key = apply_rotary_pos_emb_vision(query, key, cos, sin)
        heads = [part.transpose(1, 2) for part in (query, key, value)]
        seen = functional.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)
        hidden = hidden + attention.proj(seen)
        hidden = hidden + block.mlp(block.norm2(hidden))
    return tower.merger(hidden).view(len(patches), IMAGE_TOKENS, -1)


def _positions() -> Tensor:
    """Row and column of each patch, [N, 2], in the merge-by-merge order of the patches."""
    side = SIZE // PATCH
    rows = torch.arange(side)[:, None].expand(side, side)
    places = torch.stack([rows, rows.T], dim=-1).unflatten(1, (-1, MERGE)).unflatten(0, (-1, MERGE))
    return places.transpose(1, 2).reshape(side * side, 2)


class AttributeHeads(nn.Module):
    """Two read-outs of all attributes of a category, used in pre-training only.

    `flat` is a linear map of all tokens; `attend` lets one query per attribute look at the
    tokens, as a language model can. Training on both makes the attributes readable by either.
    """

    def __init__(self, width: int) -> None:
        """width: D."""
        super().__init__()
        sizes = [len(values) for table in ATTRIBUTES.values() for values in table.values()]
        self.sizes = sizes
        self.flat = nn.Linear(IMAGE_TOKENS * width, sum(sizes))
        self.queries = nn.Parameter(torch.randn(len(sizes), width) * width**-0.5)
        self.key = nn.Linear(width, width)
        self.place = nn.Parameter(torch.zeros(IMAGE_TOKENS, width))
        self.attend = nn.Linear(width, sum(sizes))

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """tokens: [B, K, D]. Returns two sets of logits [B, all values of all attributes]."""
        keys = self.key(tokens) + self.place
        weights = torch.softmax(self.queries @ keys.transpose(1, 2), dim=-1)
        pooled = self.attend(weights @ tokens)
        columns = torch.arange(len(self.sizes)).repeat_interleave(torch.tensor(self.sizes))
        attended = pooled[:, columns, torch.arange(sum(self.sizes))]
        return self.flat(tokens.flatten(1)), attended


def attribute_loss(sizes: list[int], logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy over the attributes that apply.

    logits: [B, sum of sizes]; targets: [B, 15], the value's number, or -100 where the attribute
    is another category's.
    """
    losses = [
        functional.cross_entropy(part, targets[:, column], reduction="sum")
        for column, part in enumerate(logits.split(sizes, dim=1))
    ]
    return torch.stack(losses).sum() / (targets >= 0).sum()


def target_row(category: str, values: tuple[str, ...]) -> list[int]:
    """The row of `targets` for one image."""
    return [
        choices.index(value) if name == category else -100
        for name, table in ATTRIBUTES.items()
        for choices, value in zip(table.values(), values, strict=True)
    ]
