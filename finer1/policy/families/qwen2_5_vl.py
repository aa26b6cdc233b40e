"""Qwen2.5-VL (arXiv:2502.13923): patches of any number in a row, three axes of positions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from finer1.policy.families.interface import Family, Pixels

if TYPE_CHECKING:
    from PIL import Image


def _process(processor: Any, images: "Sequence[Image.Image]") -> list[Pixels]:
    """Pixels of patches [N, pixels of a patch], and patches in time, height and width [3]."""
    batch = processor.image_processor(images=list(images), return_tensors="pt")
    grids = batch["image_grid_thw"]
    # clone: a part must not keep the pixels of all others alive.
    split = batch["pixel_values"].split(grids.prod(dim=-1).tolist())
    return [(part.clone(), grid) for part, grid in zip(split, grids, strict=True)]


def _expand(processor: Any, pixels: torch.Tensor, grid: torch.Tensor) -> str:
    num_tokens = int(grid.prod()) // processor.image_processor.merge_size**2
    return str(processor.image_token) * num_tokens


def _call(pixels: Sequence[torch.Tensor], grids: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"pixel_values": torch.cat(list(pixels)), "image_grid_thw": grids}


def _split(output: Any, pixels: Sequence[torch.Tensor]) -> Sequence[torch.Tensor]:
    return tuple(output)


FAMILY = Family(
    packs=True,
    vision=("visual",),
    projector="visual.merger",
    has_axes=True,
    is_deep=False,
    has_bounds=True,
    process=_process,
    expand=_expand,
    call=_call,
    split=_split,
)
