"""A contact sheet of triplets: anchor, positive and negative with names and distances."""

from collections.abc import Callable, Mapping, Sequence

import torch
from PIL import Image, ImageDraw, ImageOps

from finer1.records import Triplet
from finer1.tapo.shading import fit, load_font

ROWS = 12
"""Triplets on a sheet, at most."""
COLUMNS = 2
"""Triplets beside each other."""
TILE, MARGIN, GAP, LINE = 176, 8, 24, 20
"""Pixels: side of an image, space around it, between triplets, height of a line of text."""
_CELL = TILE + MARGIN
_TRIPLET = 3 * _CELL + GAP
_ROW = TILE + 2 * LINE + MARGIN
_INK, _GREY = (24, 24, 24), (96, 96, 96)


def choose_rows(triplets: Sequence[Triplet]) -> list[Triplet]:
    """ROWS triplets at most, spread evenly over their order."""
    count = min(ROWS, len(triplets))
    return [triplets[i * len(triplets) // count] for i in range(count)]


def draw_triplets(
    triplets: Sequence[Triplet],
    embeddings: Mapping[str, torch.Tensor],
    read: Callable[[str], Image.Image],
) -> Image.Image:
    """COLUMNS triplets in a row: the anchor, its first positive and its first negative.

    embeddings: image id -> [D]; the distance is 1 - cosine to the anchor. read: the RGB image of
    an id. A positive that is the anchor itself is said to be augmented.
    """
    columns, rows = min(COLUMNS, len(triplets)), -(-len(triplets) // COLUMNS)
    size = (columns * _TRIPLET - GAP + MARGIN, rows * _ROW + MARGIN)
    sheet = Image.new("RGB", size, "white")
    for number, triplet in enumerate(triplets):
        y = MARGIN + number // COLUMNS * _ROW
        for column, (image_id, label, words) in enumerate(_cells(triplet, embeddings)):
            x = MARGIN + number % COLUMNS * _TRIPLET + column * _CELL
            _draw_cell(sheet, read(image_id), (label, words), x, y)
    return sheet


def _cells(
    triplet: Triplet, embeddings: Mapping[str, torch.Tensor]
) -> tuple[tuple[str, str, str], ...]:
    """Image id, sub-category and words below, of the three images."""
    positive, negative = triplet.positives[0], triplet.negatives[0]
    distance = _distance(embeddings, triplet.anchor, negative)
    return (
        (triplet.anchor, triplet.label, "anchor"),
        (positive, triplet.label, _positive(triplet, embeddings)),
        (negative, triplet.negative_label, f"negative, distance {distance:.3f}"),
    )


def _positive(triplet: Triplet, embeddings: Mapping[str, torch.Tensor]) -> str:
    if triplet.is_augmented:
        return "positive: anchor, augmented"
    distance = _distance(embeddings, triplet.anchor, triplet.positives[0])
    return f"positive, distance {distance:.3f}"


def _distance(embeddings: Mapping[str, torch.Tensor], one: str, other: str) -> float:
    cosine = torch.cosine_similarity(embeddings[one].double(), embeddings[other].double(), dim=0)
    return max(0.0, 1 - float(cosine))


def _draw_cell(
    sheet: Image.Image, image: Image.Image, words: tuple[str, str], x: int, y: int
) -> None:
    # A small drawing keeps its hard pixels; a photograph is resampled.
    is_drawn = 2 * max(image.size) <= TILE
    method = Image.Resampling.NEAREST if is_drawn else Image.Resampling.LANCZOS
    tile = ImageOps.contain(image, (TILE, TILE), method)
    sheet.paste(tile, (x + (TILE - tile.width) // 2, y + (TILE - tile.height) // 2))
    pen, bold, plain = ImageDraw.Draw(sheet), load_font("Sans-Bold", 13), load_font("Sans", 12)
    pen.text((x, y + TILE), fit(words[0], bold, TILE), _INK, bold)
    pen.text((x, y + TILE + LINE - 3), words[1], _GREY, plain)
