"""One picture that shows what a dataset holds."""

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageOps

from finer1.inspection.findings import shown

TILE, CAPTION = 112, 14
"""Side of an image and height of the name below it, pixels."""


PAIR_COLUMNS = 3
"""Pairs in a row of a pair sheet."""

Tile = tuple[str, Image.Image]


def contact_sheet(images: Sequence[Tile]) -> Image.Image:
    """The images, each above its name, in rows of a landscape sheet.

    Raises ValueError when there are none.
    """
    if not images:
        raise ValueError("a contact sheet needs an image")
    columns = math.ceil(math.sqrt(2 * len(images)))
    rows = math.ceil(len(images) / columns)
    sheet = Image.new("RGB", (columns * TILE, rows * (TILE + CAPTION)), "white")
    pen = ImageDraw.Draw(sheet)
    for place, tile in enumerate(images):
        _paste(sheet, pen, tile, place % columns * TILE, place // columns * (TILE + CAPTION))
    return sheet


def pair_sheet(pairs: Sequence[tuple[str, Tile, Tile]]) -> Image.Image:
    """(title, left, right): the two images side by side, each above its name, under the title.

    Raises ValueError when there are none.
    """
    if not pairs:
        raise ValueError("a sheet of pairs needs a pair")
    columns = min(PAIR_COLUMNS, len(pairs))
    width, height = 2 * TILE + CAPTION, TILE + 3 * CAPTION
    rows = math.ceil(len(pairs) / columns)
    sheet = Image.new("RGB", (columns * width, rows * height), "white")
    pen = ImageDraw.Draw(sheet)
    for place, (title, left, right) in enumerate(pairs):
        x, y = place % columns * width, place // columns * height
        pen.text((x + 2, y), _fit(pen, title, 2 * TILE), fill="black")
        _paste(sheet, pen, left, x, y + CAPTION)
        _paste(sheet, pen, right, x + TILE, y + CAPTION)
    return sheet


def _paste(sheet: Image.Image, pen: ImageDraw.ImageDraw, tile: Tile, x: int, y: int) -> None:
    name, image = tile
    small = ImageOps.contain(image, (TILE - 4, TILE - 4))
    sheet.paste(small, (x + (TILE - small.width) // 2, y + (TILE - small.height) // 2))
    pen.text((x + 2, y + TILE), _fit(pen, name, TILE), fill="black")


def _fit(pen: ImageDraw.ImageDraw, name: str, width: int) -> str:
    name = shown(name)  # a line break would be a text of two lines, whose length has no meaning
    while name and pen.textlength(name) > width - 4:
        name = name[:-1]
    return name
