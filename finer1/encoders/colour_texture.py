"""A baseline without weights: which colours and which fine structure lie where in an image.

The image is scaled to SIDE x SIDE pixels and cut into a grid of cells. Each cell gives a histogram
of colours (HSV), one of gradient directions weighted by strength (after HOG, Dalal and Triggs
2005) and one of local binary patterns (Ojala et al. 2002). Square roots of histograms make their
cosine the Bhattacharyya coefficient; the three kinds weigh the same.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from finer1.encoders.interface import ImageEncoder

SIDE, CELLS = 96, 3
"""Pixels of a side, cells in a row."""
HUES, SATURATIONS, VALUES = 8, 3, 3
DIRECTIONS = 8
PATTERNS = 10
"""Uniform patterns by their number of lighter neighbours, and one for all others."""
_NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))
_RECIPE = "colour_texture 1"
"""The identity; a change of what is computed takes a new number."""

Array = np.ndarray


def colour_texture_encoder() -> ImageEncoder:
    """The baseline as an encoder; embeddings [N, 810] of length 1."""

    def encode(images: Sequence[Image.Image]) -> torch.Tensor:
        return torch.from_numpy(np.stack([describe_image(image) for image in images]))

    return ImageEncoder("colour_texture", hashlib.sha256(_RECIPE.encode()).hexdigest(), encode)


def describe_image(image: Image.Image) -> Array:
    """The descriptor of an RGB image: float32, length 1."""
    small = image.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    grey = np.asarray(small.convert("L"), dtype=np.float32)
    # Colours of all pixels, structure of those that have all neighbours.
    parts = (
        _histograms(_colours(np.asarray(small.convert("HSV"))), HUES * SATURATIONS * VALUES),
        _histograms(*_directions(grey)),
        _histograms(_patterns(grey), PATTERNS),
    )
    joined = np.concatenate([np.sqrt(part / max(part.sum(), 1e-12)) for part in parts])
    return np.asarray(joined / max(np.linalg.norm(joined), 1e-12), dtype=np.float32)


def _colours(hsv: Array) -> Array:
    """[SIDE, SIDE] bins of hue, saturation and value."""
    hue, saturation, value = (
        hsv[..., channel].astype(np.int64) * count // 256
        for channel, count in enumerate((HUES, SATURATIONS, VALUES))
    )
    return (hue * SATURATIONS + saturation) * VALUES + value


def _directions(grey: Array) -> tuple[Array, int, Array]:
    """Bins of the gradient's direction without its sign, their number, and its strength."""
    right = grey[1:-1, 2:] - grey[1:-1, :-2]
    down = grey[2:, 1:-1] - grey[:-2, 1:-1]
    angle = np.arctan2(down, right) % np.pi
    bins = np.minimum((angle * (DIRECTIONS / np.pi)).astype(np.int64), DIRECTIONS - 1)
    return bins, DIRECTIONS, np.hypot(right, down)


def _patterns(grey: Array) -> Array:
    """Bins of the local binary patterns, independent of rotation."""
    inside = slice(1, SIDE - 1)
    centre = grey[inside, inside]
    lighter = np.stack(
        [grey[1 + y : SIDE - 1 + y, 1 + x : SIDE - 1 + x] >= centre for y, x in _NEIGHBOURS]
    )
    changes = (lighter != np.roll(lighter, 1, axis=0)).sum(axis=0)
    return np.where(changes <= 2, lighter.sum(axis=0), PATTERNS - 1)


def _histograms(bins: Array, count: int, weights: Array | None = None) -> Array:
    """[CELLS * CELLS * count] weights of each bin in each cell."""
    place = np.arange(len(bins)) * CELLS // len(bins)
    cells = place[:, None] * CELLS + place[None, :]
    flat = None if weights is None else weights.ravel()
    return np.bincount((cells * count + bins).ravel(), flat, CELLS * CELLS * count)
