"""Random changes of training images: flip, shift and brightness; or blackened patches (PAPO)."""

import random

import numpy as np
from PIL import Image, ImageChops, ImageEnhance, ImageOps


def augment(
    image: Image.Image, shift: float, brightness: float, generator: random.Random
) -> Image.Image:
    """The image flipped half of the time, shifted (edges repeated) and lightened or darkened.

    shift: share of the side, at most, in each direction. brightness: it is scaled by 1 +- this at
    most.
    """
    if generator.random() < 0.5:
        image = ImageOps.mirror(image)
    reach_x, reach_y = (round(shift * side) for side in image.size)
    moved = _shift(
        image, generator.randint(-reach_x, reach_x), generator.randint(-reach_y, reach_y)
    )
    factor = 1 + generator.uniform(-brightness, brightness)
    return ImageEnhance.Brightness(moved).enhance(factor)


def _shift(image: Image.Image, right: int, down: int) -> Image.Image:
    rows = np.clip(np.arange(image.height) - down, 0, image.height - 1)
    columns = np.clip(np.arange(image.width) - right, 0, image.width - 1)
    return Image.fromarray(np.asarray(image)[rows][:, columns])


def blacken(
    image: Image.Image, fraction: float, patch: int, generator: random.Random
) -> Image.Image:
    """The image with `fraction` of its patch x patch squares black (PAPO, arXiv:2507.06448)."""
    columns, rows = -(-image.width // patch), -(-image.height // patch)
    cells = [(column, row) for row in range(rows) for column in range(columns)]
    black = generator.sample(cells, round(fraction * len(cells)))
    mask = Image.new("RGB", image.size, "white")
    for column, row in black:
        mask.paste("black", (column * patch, row * patch, (column + 1) * patch, (row + 1) * patch))
    return ImageChops.darker(image, mask)
