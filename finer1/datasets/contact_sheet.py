"""One picture that shows what a dataset holds."""

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageOps

TILE, CAPTION = 112, 14
"""Side of an image and height of the name below it, pixels."""


def contact_sheet(images: Sequence[tuple[str, Image.Image]]) -> Image.Image:
    """The images, each above its name, in rows of a landscape sheet.

    Raises ValueError when there are none.
    """
    if not images:
        raise ValueError("a contact sheet needs an image")
    columns = math.ceil(math.sqrt(2 * len(images)))
    rows = math.ceil(len(images) / columns)
    sheet = Image.new("RGB", (columns * TILE, rows * (TILE + CAPTION)), "white")
    pen = ImageDraw.Draw(sheet)
    for place, (name, image) in enumerate(images):
        x, y = place % columns * TILE, place // columns * (TILE + CAPTION)
        tile = ImageOps.contain(image, (TILE - 4, TILE - 4))
        sheet.paste(tile, (x + (TILE - tile.width) // 2, y + (TILE - tile.height) // 2))
        pen.text((x + 2, y + TILE), _fit(pen, name), fill="black")
    return sheet


def _fit(pen: ImageDraw.ImageDraw, name: str) -> str:
    while name and pen.textlength(name) > TILE - 4:
        name = name[:-1]
    return name
