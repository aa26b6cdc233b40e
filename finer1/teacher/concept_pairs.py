"""Figure 5 of Fine-R1: the concepts of two images of one sub-category, side by side."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageOps

from finer1.draws import draw
from finer1.records import ClassKey, Concepts, ImageRecord
from finer1.tapo.shading import fit, load_font

TILE, MARGIN, LINE = 224, 12, 19
"""Pixels: side of an image, space around it, height of a line of text."""
_CELL = TILE + MARGIN
_INK, _GREY, _SHARED = (24, 24, 24), (96, 96, 96), (43, 100, 145)
NONE = "No sub-category has two images with concepts; raise split.sft_shots to 2 or more."


@dataclass(frozen=True)
class ConceptPair:
    """Two images of one sub-category."""

    label: str
    image_ids: tuple[str, str]
    concepts: tuple[tuple[str, ...], tuple[str, ...]]
    """Of each, best first."""

    @property
    def shared(self) -> frozenset[str]:
        """The concepts that both have, whatever their case and spaces."""
        left, right = ({_plain(text) for text in side} for side in self.concepts)
        return frozenset(left & right)

    def is_shared(self, concept: str) -> bool:
        """True when both images have it."""
        return _plain(concept) in self.shared


def choose_pairs(
    rows: Sequence[Concepts], images: Mapping[str, ImageRecord], count: int, seed: int
) -> list[ConceptPair]:
    """At most `count` sub-categories with two images, and two images of each, drawn by seed."""
    members: dict[ClassKey, list[Concepts]] = defaultdict(list)
    for row in rows:
        members[images[row.image_id].class_key].append(row)
    ranked = sorted(
        (key for key, found in members.items() if len(found) > 1),
        key=lambda key: draw(seed, "concept pair", *key),
    )
    pairs = []
    for key in ranked[:count]:
        one, other = sorted(members[key], key=lambda row: draw(seed, "concept pair", row.image_id))[
            :2
        ]
        pairs.append(
            ConceptPair(key[2], (one.image_id, other.image_id), (one.concepts, other.concepts))
        )
    return pairs


def draw_pairs(pairs: Sequence[ConceptPair], read: Callable[[str], Image.Image]) -> Image.Image:
    """Two pairs in a row, the concepts below each image, shared ones bold, blue and with a dot.

    read: the RGB image of an id. Without pairs the picture says so.
    """
    if not pairs:
        return _empty()
    lines = max(len(side) for pair in pairs for side in pair.concepts)
    columns, width = min(2, len(pairs)), 2 * _CELL + 2 * MARGIN
    height = TILE + (lines + 2) * LINE + 2 * MARGIN
    size = (columns * width, -(-len(pairs) // 2) * height)
    sheet = Image.new("RGB", size, "white")
    for number, pair in enumerate(pairs):
        left, top = number % 2 * width + MARGIN, number // 2 * height + MARGIN
        bold = load_font("Sans-Bold", 13)
        title = fit(pair.label, bold, 2 * _CELL)
        ImageDraw.Draw(sheet).text((left, top), title, _INK, bold)
        for side in (0, 1):
            _draw_side(sheet, pair, side, read, left + side * _CELL, top + LINE)
    return sheet


def _draw_side(
    sheet: Image.Image,
    pair: ConceptPair,
    side: int,
    read: Callable[[str], Image.Image],
    x: int,
    y: int,
) -> None:
    image = read(pair.image_ids[side])
    # A small drawing keeps its hard pixels; a photograph is resampled.
    is_drawn = 2 * max(image.size) <= TILE
    method = Image.Resampling.NEAREST if is_drawn else Image.Resampling.LANCZOS
    tile = ImageOps.contain(image, (TILE, TILE), method)
    sheet.paste(tile, (x + (TILE - tile.width) // 2, y + (TILE - tile.height) // 2))
    pen, plain, bold = ImageDraw.Draw(sheet), load_font("Sans", 12), load_font("Sans-Bold", 12)
    for place, concept in enumerate(pair.concepts[side]):
        is_shared = pair.is_shared(concept)
        font, colour = (bold, _SHARED) if is_shared else (plain, _GREY)
        text = fit(f"\N{BLACK CIRCLE} {concept}" if is_shared else concept, font, TILE)
        pen.text((x, y + TILE + 6 + place * LINE), text, colour, font)


def _empty() -> Image.Image:
    font = load_font("Sans", 12)
    size = (round(font.getlength(NONE)) + 2 * MARGIN, LINE + 2 * MARGIN)
    sheet = Image.new("RGB", size, "white")
    ImageDraw.Draw(sheet).text((MARGIN, MARGIN), NONE, _GREY, font)
    return sheet


def _plain(concept: str) -> str:
    return " ".join(concept.split()).casefold()
