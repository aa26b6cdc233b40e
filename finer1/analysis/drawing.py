"""The figures of the analysis: similarity over layers, and names in two principal components.

No text from data is drawn; whoever shows a figure says what is in it.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

from finer1.analysis.results import LayerFigures, SeparabilityFigures
from finer1.images import decode_image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 120
"""Of a picture."""


@dataclass(frozen=True)
class Ink:
    """Colours, as matplotlib takes them."""

    line: str
    muted: str
    grid: str
    true: str
    false: str


PAPER = Ink("#1e1d1b", "#68645c", "#ddd8cd", "#2b6491", "#b04f1b")
"""On white."""


@dataclass(frozen=True)
class Curve:
    """Similarity of one model over its layers, and how it is drawn."""

    layers: Sequence[LayerFigures]
    colour: str
    mark: str = "o"
    dash: str | tuple[int, tuple[int, ...]] = "solid"


def layers_figure(curves: Sequence[Curve], ink: Ink) -> "Figure":
    """The delta of each model over its hidden states, with the intervals as bands."""
    figure, axes = _empty(3.1, 2.8, ink)
    axes.axhline(0, color=ink.muted, linewidth=0.8)
    for curve in curves:
        places = range(len(curve.layers))
        axes.fill_between(
            places,
            [layer.low for layer in curve.layers],
            [layer.high for layer in curve.layers],
            color=curve.colour,
            alpha=0.14,
            linewidth=0,
        )
        axes.plot(
            places,
            [layer.delta for layer in curve.layers],
            color=curve.colour,
            marker=curve.mark,
            markersize=4,
            linewidth=1.6,
            linestyle=curve.dash,
        )
    axes.locator_params(axis="x", nbins=9, integer=True)
    axes.locator_params(axis="y", nbins=5)
    axes.set_xlabel("hidden state", color=ink.muted, fontsize=9)
    axes.set_ylabel("congener \u2212 others", color=ink.muted, fontsize=9)
    return figure


def names_figure(figures: SeparabilityFigures, ink: Ink) -> "Figure":
    """True (filled) and false (hollow) statements in the plane of the first two components."""
    figure, axes = _empty(3.1, 2.8, ink)
    for points, colour, fill in (
        (figures.false_points, ink.false, "none"),
        (figures.true_points, ink.true, ink.true),
    ):
        across, up = zip(*points, strict=True)
        axes.plot(
            across,
            up,
            linestyle="none",
            marker="o",
            markersize=2.8,
            markerfacecolor=fill,
            markeredgecolor=colour,
            markeredgewidth=0.6,
            alpha=0.7,
        )
    for axis in ("x", "y"):
        axes.locator_params(axis=axis, nbins=4)
    first, second = (f"{100 * share:.0f} %" for share in figures.explained)
    axes.set_xlabel(f"component 1, {first} of the variance", color=ink.muted, fontsize=9)
    axes.set_ylabel(f"component 2, {second}", color=ink.muted, fontsize=9)
    return figure


def as_picture(figure: "Figure") -> Image.Image:
    """The figure on white, RGB."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    return decode_image(buffer.getvalue(), "a figure of the analysis")


def _empty(width: float, height: float, ink: Ink) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(ink.grid)
    axes.grid(axis="y", color=ink.grid, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, colors=ink.muted, labelsize=9)
    return figure, axes
