"""A pen that draws posed shapes: figure coordinates in, canvas coordinates out."""

import colorsys
import math
from collections.abc import Sequence

import numpy as np
from PIL import ImageDraw

Colour = tuple[int, ...]
"""RGB, 0 to 255."""
Point = tuple[float, float]

INK: Colour = (25, 22, 28)
"""Outlines and dark parts."""


def vivid(rng: np.random.Generator) -> Colour:
    """A random light, half-saturated colour, told apart from the attributes' strong colours."""
    hue, saturation, value = rng.random(), rng.uniform(0.1, 0.4), rng.uniform(0.6, 0.88)
    return tuple(int(255 * channel) for channel in colorsys.hsv_to_rgb(hue, saturation, value))


def darker(colour: Colour, factor: float) -> Colour:
    """`colour` times `factor`."""
    return tuple(int(channel * factor) for channel in colour)


class Pen:
    """Draws shapes given in figure coordinates, facing right, origin in the middle, y down."""

    def __init__(self, canvas: ImageDraw.ImageDraw, pose: np.ndarray) -> None:
        """pose: [2, 3], linear part and shift of the map to the canvas."""
        self._canvas = canvas
        self._pose = pose
        self._scale = math.sqrt(abs(np.linalg.det(pose[:, :2])))

    def polygon(self, points: Sequence[Point], fill: Colour, outline: bool = True) -> None:
        """A filled polygon, outlined in ink."""
        placed = self._place(points)
        self._canvas.polygon(placed, fill=fill)
        if outline:
            self._canvas.line([*placed, placed[0]], fill=INK, width=round(0.7 * self._scale))

    def ellipse(self, centre: Point, radii: Point, fill: Colour, outline: bool = True) -> None:
        """A filled ellipse, outlined in ink."""
        angles = [2 * math.pi * step / 20 for step in range(20)]
        (x, y), (a, b) = centre, radii
        points = [(x + a * math.cos(angle), y + b * math.sin(angle)) for angle in angles]
        self.polygon(points, fill, outline)

    def line(self, points: Sequence[Point], colour: Colour, width: float) -> None:
        """A polyline of `width` figure units."""
        stroke = max(1, round(width * self._scale))
        self._canvas.line(self._place(points), fill=colour, width=stroke, joint="curve")

    def _place(self, points: Sequence[Point]) -> list[Point]:
        placed = np.asarray(points) @ self._pose[:, :2].T + self._pose[:, 2]
        return [(float(x), float(y)) for x, y in placed]
