"""The figures: a bird, a car and a fish, each drawn from its five attribute values.

Parts that carry an attribute are at least about six units (pixels at scale 1) large: what the
tiny vision tower must tell apart should still be there after the nuisance.
"""

from collections.abc import Callable

from finer1.world.pen import INK, Colour, Pen, darker

COLOURS: dict[str, Colour] = {
    "red": (215, 30, 35),
    "blue": (30, 70, 220),
    "yellow": (250, 225, 30),
    "black": (15, 15, 20),
    "orange": (250, 130, 20),
    "violet": (130, 35, 190),
    "green": (25, 150, 50),
    "white": (250, 250, 250),
}
"""Colour values of attributes."""
_GLASS: Colour = (175, 215, 240)
_PALE: Colour = (235, 235, 230)


def draw_bird(pen: Pen, values: tuple[str, ...], colour: Colour) -> None:
    """Crown, beak, wing bars, tail, breast."""
    crown, beak, bars, tail, breast = values
    _bird_tail(pen, tail, darker(colour, 0.7))
    for x in (-2, 4):
        pen.line([(x, 14), (x, 25)], INK, 1.5)
    pen.ellipse((0, 4), (15, 12), colour)
    _breast(pen, breast)
    pen.ellipse((13, -11), (9, 9), colour)
    pen.polygon([(4, -13), (8, -24), (14, -26), (20, -21), (21, -14), (13, -16)], COLOURS[crown])
    _beak(pen, beak)
    pen.ellipse((16, -11), (1.8, 1.8), INK)
    _wing(pen, bars, darker(colour, 0.75))


def _bird_tail(pen: Pen, tail: str, colour: Colour) -> None:
    if tail == "forked":
        points = [(-10, -1), (-31, -11), (-19, 4), (-31, 18), (-10, 9)]
    elif tail == "pointed":
        points = [(-10, 1), (-33, 4), (-10, 8)]
    else:
        pen.polygon([(-10, 0), (-20, 1), (-20, 8), (-10, 9)], colour)
        pen.ellipse((-23, 4.5), (8, 9), colour)
        return
    pen.polygon(points, colour)


def _breast(pen: Pen, breast: str) -> None:
    pen.ellipse((7.5, 7), (8, 8.5), _PALE, outline=False)
    if breast == "striped":
        for y in (2, 6, 10, 14):
            pen.line([(1, y), (14.5, y)], INK, 1.7)
    elif breast == "spotted":
        for x, y in ((6, 1), (12, 2), (9, 6), (4, 11), (14, 7), (9, 12)):
            pen.ellipse((x, y), (1.7, 1.7), INK)


def _beak(pen: Pen, beak: str) -> None:
    yellow = (225, 165, 60)
    if beak == "hooked":
        pen.polygon([(19, -16), (27, -17), (32, -11), (30, 0), (27, -7), (20, -6)], yellow)
    elif beak == "long":
        pen.polygon([(20, -14), (38, -10.5), (20, -8)], yellow)
    else:
        pen.polygon([(20, -13.5), (25.5, -11), (20, -8.5)], yellow)


def _wing(pen: Pen, bars: str, colour: Colour) -> None:
    pen.ellipse((-5, 3), (10, 7), colour)
    for x in {"unbarred": (), "single": (-5,), "double": (-8.5, -1.5)}[bars]:
        pen.line([(x - 1, -2.5), (x + 1, 8.5)], (255, 255, 255), 3)


def draw_car(pen: Pen, values: tuple[str, ...], colour: Colour) -> None:
    """Body, roof, windows, side, wheels."""
    body, roof, windows, side, wheels = values
    left, right, top = _body(pen, body, colour)
    _roof(pen, roof, left, right, top)
    _windows(pen, windows, left + 1.5, right - 1, top + 2)
    _side(pen, side)
    for x in (-17, 17):
        _wheel(pen, wheels, x)


def _body(pen: Pen, body: str, colour: Colour) -> tuple[float, float, float]:
    """Draw the body; the cabin's left and right end and its top."""
    cabins = {
        "sedan": ([(-18, 0), (-11, -12), (9, -12), (17, 0)], (-12, 10, -12)),
        "van": ([(-28, 0), (-28, -15), (15, -15), (23, 0)], (-26, 15, -15)),
        "pickup": ([(-2, 0), (-2, -13), (12, -13), (18, 0)], (-2, 13, -13)),
        "coupe": ([(-28, 0), (-6, -10), (4, -10), (19, 0)], (-12, 7, -10)),
    }
    shape, (left, right, top) = cabins[body]
    pen.polygon(shape, colour)
    base = [(-29, 0), (27, 0), (30, 5), (30, 13), (-29, 13)]
    if body == "coupe":
        base = [(-30, -1), (20, 0), (32, 8), (32, 13), (-30, 13)]
    pen.polygon(base, colour)
    return left, right, top


def _roof(pen: Pen, roof: str, left: float, right: float, top: float) -> None:
    if roof == "racked":
        pen.polygon([(left, top - 6), (right, top - 6), (right, top - 3), (left, top - 3)], INK)
        for x in (left + 2, right - 2):
            pen.line([(x, top), (x, top - 4)], INK, 1.6)
    elif roof == "aerial":
        middle = (left + right) / 2
        pen.line([(middle, top), (middle - 5, top - 15)], INK, 1.8)
        pen.ellipse((middle - 5, top - 15), (2.2, 2.2), INK)


def _windows(pen: Pen, windows: str, left: float, right: float, top: float) -> None:
    glass = (45, 45, 55) if windows == "tinted" else _GLASS
    pen.polygon([(left, top), (right, top), (right + 1.5, -1), (left - 0.5, -1)], glass)
    if windows == "split":
        middle = (left + right) / 2
        pen.line([(middle, top), (middle, -1)], INK, 4)


def _side(pen: Pen, side: str) -> None:
    if side == "lined":
        pen.line([(-28, 5.5), (29, 5.5)], (255, 255, 255), 3)
    elif side == "checked":
        for step in range(9):
            x, y = -11 + 2.6 * step, 3 + 3 * (step % 2)
            pen.polygon([(x, y), (x + 2.6, y), (x + 2.6, y + 3), (x, y + 3)], INK, outline=False)


def _wheel(pen: Pen, wheels: str, x: float) -> None:
    pen.ellipse((x, 14), (8, 8), INK)
    if wheels == "ringed":
        pen.ellipse((x, 14), (6, 6), (240, 240, 240))
        pen.ellipse((x, 14), (3.3, 3.3), INK)
    elif wheels == "spoked":
        for dx, dy in ((6, 0), (0, 6), (4.3, 4.3), (4.3, -4.3)):
            pen.line([(x - dx, 14 - dy), (x + dx, 14 + dy)], (240, 240, 240), 1.5)


def draw_fish(pen: Pen, values: tuple[str, ...], colour: Colour) -> None:
    """Fins, tail, back, flank, mouth."""
    fins, tail, back, flank, mouth = values
    paint = COLOURS[fins]
    _fish_tail(pen, tail, darker(colour, 0.75))
    _back(pen, back, darker(colour, 0.75))
    pen.polygon([(-6, 9), (-12, 22), (4, 21), (6, 9)], paint)
    _mouth(pen, mouth, colour)
    pen.ellipse((0, 0), (20, 12), colour)
    _flank(pen, flank)
    pen.polygon([(8, 1), (0, -5), (-3, 2), (0, 9)], paint)
    pen.ellipse((14, -3), (2.2, 2.2), INK)


def _fish_tail(pen: Pen, tail: str, colour: Colour) -> None:
    shapes = {
        "crescent": [(-17, 0), (-31, -14), (-25, 0), (-31, 14)],
        "fanned": [(-16, 0), (-27, -12), (-31, -6), (-32, 0), (-31, 6), (-27, 12)],
        "square": [(-16, -3), (-29, -5), (-29, 5), (-16, 3)],
    }
    pen.polygon(shapes[tail], colour)


def _back(pen: Pen, back: str, colour: Colour) -> None:
    if back == "spiny":
        for x in (-12, -6, 0, 6):
            pen.polygon([(x - 2.5, -8), (x - 2, -20), (x + 2.5, -8)], colour)
    elif back == "tall":
        pen.polygon([(-8, -9), (-4, -25), (4, -23), (7, -9)], colour)
    else:
        pen.polygon([(-14, -7), (-11, -15), (9, -15), (12, -7)], colour)


def _flank(pen: Pen, flank: str) -> None:
    if flank == "banded":
        for x, height in ((-13, 7.5), (-7, 10), (9, 9.5)):
            pen.line([(x, -height), (x, height)], INK, 2.6)
    elif flank == "dotted":
        for x, y in ((-15, 0), (-9, -6), (-9, 5), (-4, -2), (3, -8), (9, -6), (9, 6)):
            pen.ellipse((x, y), (1.9, 1.9), INK)


def _mouth(pen: Pen, mouth: str, colour: Colour) -> None:
    if mouth == "sharp":
        pen.polygon([(14, -8), (35, 1), (14, 8)], colour)
    elif mouth == "bearded":
        for x in (13, 18):
            pen.line([(x, 5), (x + 5, 21)], INK, 2.6)
    else:
        pen.ellipse((20, 2), (6, 6.5), darker(colour, 0.5))


DRAWERS: dict[str, Callable[[Pen, tuple[str, ...], Colour], None]] = {
    "bird": draw_bird,
    "car": draw_car,
    "fish": draw_fish,
}
"""Category -> how it is drawn."""
