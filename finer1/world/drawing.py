"""Drawing an image of given attribute values, under nuisance of a given strength.

Everything that is no attribute varies: colour, pose, flip, scale, background, clutter, an
occluder, light, colour cast, noise. The same values, strength and seed give the same bytes.
"""

import io
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, PngImagePlugin

from finer1.world.figures import DRAWERS
from finer1.world.pen import Colour, Pen, vivid

SIZE = 64
"""Side of an image, pixels."""
OVERSAMPLING = 3
"""Shapes are drawn this much larger and averaged down, which smooths their edges."""


def draw(category: str, values: Sequence[str], seed: int, nuisance: float) -> Image.Image:
    """An RGB image of SIZE x SIZE pixels of something with these attribute values.

    nuisance: 0 (almost none) to 1.
    """
    rng = np.random.default_rng(seed)
    image = _background(rng, nuisance)
    canvas = ImageDraw.Draw(image)
    _scatter_clutter(canvas, rng, nuisance)
    pen = Pen(canvas, _pose(rng, nuisance))
    DRAWERS[category](pen, tuple(values), vivid(rng))
    _occlude(canvas, rng, nuisance)
    pixels = np.asarray(image.reduce(OVERSAMPLING), dtype=np.float32)
    return Image.fromarray(_expose(pixels, rng, nuisance))


def png_bytes(image: Image.Image, texts: dict[str, str]) -> bytes:
    """The image as PNG with `texts` as tEXt chunks, which `Image.info` shows again."""
    info = PngImagePlugin.PngInfo()
    for key, text in texts.items():
        info.add_text(key, text)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def _pose(rng: np.random.Generator, nuisance: float) -> np.ndarray:
    """2 x 3 map from figure coordinates (64 units wide, origin in the middle) to the canvas.

    Pose stops growing at 0.55: of all kinds of nuisance it costs a tower trained at 0.5 by far
    the most (all five attributes right at 0.8: 62 % were it proportional, 92 % at the pose of
    0.5), and what remains shall be learnable.
    """
    reach = min(nuisance, 0.55)
    angle = math.radians(22) * reach * rng.uniform(-1, 1)
    shear = 0.22 * reach * rng.uniform(-1, 1)
    scale = 1 + reach * rng.uniform(-0.22, 0.12)
    aspect = 1 + 0.12 * reach * rng.uniform(-1, 1)
    facing = rng.choice([-1, 1])
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    shape = np.array([[facing * scale * aspect, shear], [0, scale]])
    shift = SIZE / 2 + 5 * reach * rng.uniform(-1, 1, 2)
    return OVERSAMPLING * np.column_stack([turn @ shape, shift])


def _background(rng: np.random.Generator, nuisance: float) -> Image.Image:
    """A smooth gradient between two dull colours, in a random direction."""
    ends = rng.uniform(110, 200, 3) + 55 * nuisance * rng.uniform(-1, 1, (2, 3))
    angle = rng.uniform(0, 2 * math.pi)
    axis = np.linspace(-0.5, 0.5, SIZE)
    ramp = 0.5 + (math.cos(angle) * axis[None, :] + math.sin(angle) * axis[:, None]) / 1.5
    pixels = ends[0] + (ends[1] - ends[0]) * ramp[..., None]
    small = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    return small.resize((SIZE * OVERSAMPLING,) * 2, Image.Resampling.NEAREST)


def _scatter_clutter(
    canvas: ImageDraw.ImageDraw, rng: np.random.Generator, nuisance: float
) -> None:
    """Shapes of any colour behind the figure."""
    side = SIZE * OVERSAMPLING
    for _ in range(rng.poisson(7 * nuisance)):
        x, y = rng.uniform(0, side, 2)
        width, height = rng.uniform(4, 34, 2) * OVERSAMPLING / 2
        _patch(canvas, rng, (x - width, y - height, x + width, y + height))


def _occlude(canvas: ImageDraw.ImageDraw, rng: np.random.Generator, nuisance: float) -> None:
    """With probability `nuisance`, something small in front of the figure."""
    if rng.random() >= nuisance:
        return
    x, y = rng.uniform(8, SIZE - 8, 2) * OVERSAMPLING
    width, height = rng.uniform(1.5, 1.5 + 4 * nuisance, 2) * OVERSAMPLING
    _patch(canvas, rng, (x - width, y - height, x + width, y + height))


def _patch(
    canvas: ImageDraw.ImageDraw,
    rng: np.random.Generator,
    box: tuple[float, float, float, float],
) -> None:
    colour: Colour = tuple(int(c) for c in rng.integers(40, 235, 3))
    if rng.random() < 0.5:
        canvas.ellipse(box, fill=colour)
    else:
        canvas.rectangle(box, fill=colour)


def _expose(pixels: np.ndarray, rng: np.random.Generator, nuisance: float) -> np.ndarray:
    """Light, contrast, colour cast and sensor noise; uint8."""
    light = 1 + 0.35 * nuisance * rng.uniform(-1, 1)
    contrast = 1 + 0.3 * nuisance * rng.uniform(-1, 1)
    cast = 1 + 0.16 * nuisance * rng.uniform(-1, 1, 3)
    noise = rng.standard_normal(pixels.shape, dtype=np.float32) * (14 * nuisance)
    exposed = ((pixels - 128) * contrast + 128) * light * cast + noise
    return exposed.clip(0, 255).astype(np.uint8)
