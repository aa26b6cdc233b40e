"""What an image encoder is; finer1/encoders/named.py finds one by name.

An encoder's identity is its content, not its name: a hash of weights, settings and recipe. Equal
identity means equal embeddings, so that they can be kept (finer1/embeddings.py).
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from PIL import Image

BATCH_SIZE = 32
"""Images or texts embedded at once."""

EncodeImages = Callable[[Sequence["Image.Image"]], "torch.Tensor"]
"""RGB images, one or more -> embeddings [N, D], float32, on the CPU."""
EncodeTexts = Callable[[Sequence[str]], "torch.Tensor"]
"""Texts, one or more -> embeddings [N, D], float32, on the CPU."""


@dataclass(frozen=True)
class ImageEncoder:
    """A named function from images to embeddings.

    The images that share a batch change an embedding by rounding only: by less than 1e-5 of its
    length on a CPU.
    """

    name: str
    """As in params.yaml."""
    sha256: str
    """Hex SHA-256 of all that shapes an embedding but device and batch."""
    encode: EncodeImages


@dataclass(frozen=True)
class TextImageEncoder(ImageEncoder):
    """An image encoder with a text encoder into the same space."""

    encode_texts: EncodeTexts


def hash_weights(weights: "Mapping[str, torch.Tensor]", facts: object) -> str:
    """Hex SHA-256 of named tensors and of JSON-like facts about how they are used."""
    import torch

    digest = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode())
    for name in sorted(weights):
        value = weights[name].detach().cpu().contiguous()
        digest.update(f"\0{name} {value.dtype} {list(value.shape)}\0".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def in_batches(items: Sequence[object]) -> list[slice]:
    """Slices of BATCH_SIZE over `items`."""
    return [slice(start, start + BATCH_SIZE) for start in range(0, len(items), BATCH_SIZE)]
