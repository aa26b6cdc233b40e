"""Text whose tokens are shaded by their KL: the scale of shades, and lines that fit a width."""

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from PIL.ImageFont import FreeTypeFont, truetype

Token = tuple[str, float]
"""Its text and its KL in nats."""

PALE_KL, DARK_KL = 0.01, 10.0
"""KL of the first shade that can be seen and of the darkest, nats. The scale is logarithmic, since
most tokens are at 0 and few above 1, and it never moves, so that steps can be compared."""
_DARKEST = (255, 132, 30)
"""Black text on it is still easy to read (contrast 8 to 1)."""


def scale_position(kl: float) -> float:
    """Place of `kl` on the scale, from 0 to 1."""
    return min(math.log1p(max(kl, 0.0) / PALE_KL) / math.log1p(DARK_KL / PALE_KL), 1.0)


def kl_at(place: float) -> float:
    """The KL at a place of the scale, nats; the inverse of `scale_position`."""
    return PALE_KL * math.expm1(place * math.log1p(DARK_KL / PALE_KL))


def shade(kl: float) -> tuple[int, int, int]:
    """Colour behind a token: white at 0, darkest from DARK_KL on."""
    place = scale_position(kl)
    red, green, blue = (round(255 + place * (channel - 255)) for channel in _DARKEST)
    return red, green, blue


def wrap(tokens: Sequence[Token], font: FreeTypeFont, width: float) -> list[list[Token]]:
    """The tokens in lines of at most `width` pixels, broken before a space or tag where it can be.

    Line ends and other invisible characters become spaces; a line begins without one.
    """
    lines: list[list[Token]] = [[]]
    x = 0.0
    for word in _words(tokens):
        starts_line = x + sum(font.getlength(text) for text, _ in word) > width
        for text, kl in word:
            if x and (starts_line or x + font.getlength(text) > width):
                lines.append([])
                x = 0.0
            starts_line = False
            text = text if x else text.lstrip()
            lines[-1].append((text, kl))
            x += font.getlength(text)
    return lines


def _words(tokens: Sequence[Token]) -> list[list[Token]]:
    words: list[list[Token]] = []
    for text, kl in tokens:
        visible = "".join(c if c.isprintable() else " " for c in text)
        if not words or visible.startswith((" ", "<")):
            words.append([])
        words[-1].append((visible, kl))
    return words


def fit(text: str, font: FreeTypeFont, width: float) -> str:
    """`text` on one line, shortened where it is wider than `width` pixels."""
    text = " ".join(text.split())
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}...") > width:
        text = text[:-1]
    return f"{text}..."


@cache
def load_font(style: str, size: int = 15) -> FreeTypeFont:
    """DejaVu, which comes with matplotlib, in a style such as `Sans-Bold`."""
    import matplotlib

    folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
    return truetype(folder / f"DejaVu{style}.ttf", size)
