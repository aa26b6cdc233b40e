"""One picture of a group: its three images, its answers, and where the contrastive KL lies.

Each token of each completion is shaded by the inter-class KL at it: dark where the policy would
have written something else under the negative image, so where it looks at what tells the two
sub-categories apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageOps

from finer1.model_params import TapoParams
from finer1.prompts import parse_completion
from finer1.tapo.rewards import Reward
from finer1.tapo.rollouts import RolloutGroup
from finer1.tapo.shading import (
    DARK_KL,
    Token,
    fit,
    kl_at,
    load_font,
    scale_position,
    shade,
    wrap,
)

WIDTH, MARGIN, PHOTO, LINE, INDENT = 1200, 24, 216, 22, 14
"""Pixels: width of the sheet, its margin, side of an image, height of a line, text beside a bar."""
MAX_LINES = 16
"""Lines of a completion; of a longer one the beginning and the end are shown."""
PEAK_KL = 0.1
"""Least KL of a token that is named, nats."""
_INK, _GREY, _RIGHT, _WRONG = (24, 24, 24), (96, 96, 96), (28, 120, 60), (190, 50, 40)
_EXPLANATION = (
    "Shading: contrastive KL of each token, nats.",
    "Dark where the policy would have written",
    "something else under the negative image.",
    "Policy after the step; right answers first.",
)


@dataclass(frozen=True)
class _Row:
    """A completion as it is drawn."""

    number: int
    image: str
    """The image that it was sampled under."""
    reward: Reward
    answer: str
    contrast: str
    """Mean KL and the tokens with the largest one, in words: a shade alone is no measure."""
    lines: list[list[Token]]

    @property
    def height(self) -> int:
        return LINE * (1 + len(self.lines)) + LINE // 2


def draw_sheet(
    group: RolloutGroup, tokens: Sequence[Sequence[Token]], settings: TapoParams, step: int
) -> Image.Image:
    """The sheet of a group after rollout step `step`; tokens: those of each rollout, in order."""
    rows = [_row(group, i, line, settings) for i, line in enumerate(tokens)]
    rows.sort(key=lambda row: (-row.reward.accuracy, row.number))
    photos_y = MARGIN + 3 * LINE
    y = photos_y + PHOTO + 3 * LINE + LINE // 2
    sheet = Image.new("RGB", (WIDTH, y + sum(row.height for row in rows) + MARGIN), "white")
    pen = ImageDraw.Draw(sheet)
    _draw_head(pen, group, step)
    _draw_photos(sheet, pen, group, settings, photos_y)
    _draw_scale(pen, 3 * (PHOTO + MARGIN) + 2 * MARGIN, photos_y)
    for row in rows:
        _draw_row(pen, row, y)
        y += row.height
    return sheet


def _row(group: RolloutGroup, index: int, tokens: Sequence[Token], settings: TapoParams) -> _Row:
    lines = wrap(tokens, load_font("Sans"), WIDTH - 2 * MARGIN - INDENT)
    if len(lines) > MAX_LINES:
        half = MAX_LINES // 2
        hidden = sum(len(line) for line in lines[half:-half])
        lines = [*lines[:half], [(f"[... {hidden} tokens ...]", 0.0)], *lines[-half:]]
    mean = sum(kl for _, kl in tokens) / max(len(tokens), 1)
    peaks = sorted(tokens, key=lambda token: -token[1])[:3]
    words = [f'"{text.strip()}" {kl:.2g}' for text, kl in peaks if kl >= PEAK_KL]
    return _Row(
        number=index + 1,
        image="anchor" if index < settings.anchor_rollouts else "positive",
        reward=group.rewards[index],
        answer=parse_completion(group.texts[index]).answer or "(no answer)",
        contrast=f"mean KL {mean:.3f}" + (f", most at {', '.join(words)}" if words else ""),
        lines=lines,
    )


def _draw_head(pen: ImageDraw.ImageDraw, group: RolloutGroup, step: int) -> None:
    right = sum(accuracy > 0 for accuracy in group.accuracies)
    mean = sum(reward.total for reward in group.rewards) / len(group.rewards)
    facts = f"{right} of {len(group.rewards)} answers right, mean reward {mean:.2f}"
    title = f"Step {step}: {group.prompt.label}"
    width, font = WIDTH - 2 * MARGIN, load_font("Sans")
    big = load_font("Sans-Bold", 22)
    pen.text((MARGIN, MARGIN - 6), fit(title, big, width), _INK, big)
    line = fit(f"{facts}: {group.prompt.question}", font, width)
    pen.text((MARGIN, MARGIN + LINE + 6), line, _INK, font)


def _draw_photos(
    sheet: Image.Image,
    pen: ImageDraw.ImageDraw,
    group: RolloutGroup,
    settings: TapoParams,
    y: int,
) -> None:
    prompt, font, bold = group.prompt, load_font("Sans"), load_font("Sans-Bold")
    is_blackened = settings.negative_image == "blackened"
    shown = [
        ("anchor", prompt.anchor, prompt.label),
        ("positive", prompt.positive, prompt.label),
        ("negative", prompt.negative, "blackened" if is_blackened else prompt.negative_label),
    ]
    for place, (kind, image, label) in enumerate(shown):
        x = MARGIN + place * (PHOTO + MARGIN)
        # A small drawing keeps its hard pixels; a photograph is resampled.
        method = Image.Resampling.NEAREST if 2 * max(image.size) <= PHOTO else None
        tile = ImageOps.contain(image, (PHOTO, PHOTO), method or Image.Resampling.LANCZOS)
        sheet.paste(tile, (x + (PHOTO - tile.width) // 2, y + (PHOTO - tile.height) // 2))
        pen.text((x, y + PHOTO + 4), kind, _INK, bold)
        pen.text((x, y + PHOTO + 4 + LINE), fit(label, font, PHOTO), _INK, font)


def _draw_scale(pen: ImageDraw.ImageDraw, x: int, y: int) -> None:
    font, length = load_font("Sans"), WIDTH - MARGIN - x
    for text in _EXPLANATION:
        pen.text((x, y), text, _INK, font)
        y += LINE
    y += LINE // 2
    for pixel in range(length):
        pen.line([(x + pixel, y), (x + pixel, y + LINE)], shade(kl_at(pixel / length)))
    pen.rectangle([x, y, x + length, y + LINE], outline=_GREY)
    for kl in (0.0, 0.1, 1.0, DARK_KL):
        left = x + scale_position(kl) * (length - font.getlength(f"{kl:g}"))
        pen.text((left, y + LINE + 4), f"{kl:g}", _INK, font)


def _draw_row(pen: ImageDraw.ImageDraw, row: _Row, y: int) -> None:
    is_right = row.reward.accuracy > 0
    ink = _RIGHT if is_right else _WRONG
    pen.rectangle([MARGIN, y, MARGIN + 4, y + row.height - LINE // 2], ink)
    font, bold = load_font("Sans"), load_font("Sans-Bold")
    x = float(MARGIN + INDENT)
    for text, colour, face in (
        (f"{row.number}  {'right' if is_right else 'wrong'}: {row.answer}", ink, bold),
        (f"reward {row.reward.total:.2f}, format {row.reward.format:.2f}", _INK, font),
        (f"under the {row.image} image", _INK, font),
        (row.contrast, _GREY, font),
    ):
        text = fit(text, face, WIDTH - MARGIN - x)
        pen.text((x, y), text, colour, face)
        x += face.getlength(text) + 20
    for line in row.lines:
        y += LINE
        _draw_line(pen, line, MARGIN + INDENT, y)


def _draw_line(pen: ImageDraw.ImageDraw, line: Sequence[Token], x: float, y: int) -> None:
    font = load_font("Sans")
    for text, kl in line:
        end = x + font.getlength(text)
        pen.rectangle([x, y - 1, end, y + LINE - 4], shade(kl))
        pen.text((x, y), text, _INK, font)
        x = end
