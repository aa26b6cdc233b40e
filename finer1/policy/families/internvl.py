"""InternVL 2.5 and 3 in transformers' own layout (`*-hf`, arXiv:2412.05271): an image in pieces of
one size, each of as many tokens; positions on a line."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from finer1.policy.families.interface import Family, Pixels

if TYPE_CHECKING:
    from PIL import Image


def _process(processor: Any, images: "Sequence[Image.Image]") -> list[Pixels]:
    """Pieces [N, 3, height, width], and their number [1]."""
    parts = []
    for image in images:
        # By the processor, which cuts into pieces where its image processor alone would not.
        batch = processor(text=[processor.image_token], images=[image], return_tensors="pt")
        pixels = batch["pixel_values"]
        parts.append((pixels, torch.tensor([len(pixels)])))
    return parts


def _expand(processor: Any, pixels: torch.Tensor, count: torch.Tensor) -> str:
    return str(processor.replace_image_token({"num_patches": count.tolist()}, 0))


def _call(pixels: Sequence[torch.Tensor], counts: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"pixel_values": torch.cat(list(pixels))}


def _split(output: Any, pixels: Sequence[torch.Tensor]) -> Sequence[torch.Tensor]:
    return [part.flatten(0, 1) for part in output.split([len(pieces) for pieces in pixels])]


FAMILY = Family(
    packs=False,
    vision=("vision_tower", "multi_modal_projector"),
    projector="multi_modal_projector",
    has_axes=False,
    is_deep=False,
    has_bounds=False,
    process=_process,
    expand=_expand,
    call=_call,
    split=_split,
)
