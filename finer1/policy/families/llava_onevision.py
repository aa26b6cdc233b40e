"""LLaVA-OneVision (arXiv:2408.03326): an image as a whole and in pieces, positions on a line."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.utils.rnn import pad_sequence

from finer1.policy.families.interface import Family, Pixels

if TYPE_CHECKING:
    from PIL import Image


def _process(processor: Any, images: "Sequence[Image.Image]") -> list[Pixels]:
    """Pieces [N, 3, height, width], the whole image first, and the image's height and width [2]."""
    parts = []
    for image in images:  # alone: a batch is padded to the most pieces
        batch = processor.image_processor(images=[image], return_tensors="pt")
        parts.append((batch["pixel_values"][0], torch.as_tensor(batch["image_sizes"][0])))
    return parts


def _expand(processor: Any, pixels: torch.Tensor, size: torch.Tensor) -> str:
    inputs = {"batch_num_images": [1], "image_sizes": [size.tolist()], "pixel_values": pixels[None]}
    return str(processor.replace_image_token(inputs, 0))


def _call(pixels: Sequence[torch.Tensor], sizes: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"pixel_values": pad_sequence(list(pixels), batch_first=True), "image_sizes": sizes}


def _split(output: Any, pixels: Sequence[torch.Tensor]) -> Sequence[torch.Tensor]:
    return tuple(output)


FAMILY = Family(
    packs=False,
    vision=("vision_tower", "multi_modal_projector", "image_newline"),
    projector="multi_modal_projector",
    has_axes=False,
    is_deep=False,
    has_bounds=False,
    process=_process,
    expand=_expand,
    call=_call,
    split=_split,
)
