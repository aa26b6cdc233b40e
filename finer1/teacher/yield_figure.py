"""The yield as a picture: what became of the samples of each sub-category, and why they fell.

No name of a sub-category is drawn, since some runs have hundreds; the tables beside it have them.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

from finer1.images import decode_image
from finer1.records import ClassKey
from finer1.teacher.yields import ClassYield, add_yields

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 120
"""Of the picture."""


@dataclass(frozen=True)
class Palette:
    """Colours, as matplotlib takes them."""

    ink: str
    muted: str
    line: str
    kept: str
    reasons: tuple[str, str, str]
    """Of the most frequent reason, of the second one, of all others."""


_PAPER = Palette("#1e1d1b", "#68645c", "#ddd8cd", "#2b6491", ("#b04f1b", "#857f73", "#ddd8cd"))


def yield_picture(yields: Mapping[ClassKey, ClassYield]) -> Image.Image:
    """The figure on white, RGB."""
    buffer = io.BytesIO()
    draw_yields(yields, _PAPER).savefig(buffer, format="png", dpi=DPI)
    return decode_image(buffer.getvalue(), "the figure of the yield")


def draw_yields(yields: Mapping[ClassKey, ClassYield], palette: Palette) -> "Figure":
    """Left a bar per sub-category, its samples stacked by fate; right a bar per reason."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.2, 2.8), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(2, 1))
    for axes in (left, right):
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_color(palette.line)
        axes.tick_params(length=0, colors=palette.muted, labelsize=9)
    total = add_yields(yields.values())
    ranked = [name for name, count in _ranked(total) if count]
    _draw_classes(left, yields, ranked, palette)
    _draw_reasons(right, total, ranked, palette)
    return figure


def _ranked(total: ClassYield) -> list[tuple[str, int]]:
    return sorted(total.rejected.items(), key=lambda item: (-item[1], item[0]))


def _draw_classes(
    axes: "Axes", yields: Mapping[ClassKey, ClassYield], ranked: list[str], palette: Palette
) -> None:
    """Sub-categories with the most samples, which gave the most trouble, stand first."""
    order = sorted(yields, key=lambda key: (-yields[key].samples, yields[key].kept, key))
    counts = [yields[key] for key in order]
    named, others = ranked[:2], ranked[2:]
    layers = [("kept", palette.kept, [count.kept for count in counts])]
    layers += [
        (name, colour, [count.rejected[name] for count in counts])
        for name, colour in zip(named, palette.reasons, strict=False)
    ]
    rest = [sum(count.rejected[name] for name in others) for count in counts]
    if others:
        layers.append(("other reasons", palette.reasons[2], rest))
    bottom = [0] * len(counts)
    for name, colour, heights in layers:
        axes.bar(range(len(counts)), heights, 0.8, bottom, color=colour, label=name)
        bottom = [low + height for low, height in zip(bottom, heights, strict=True)]
    axes.set_xticks([])
    axes.locator_params(axis="y", nbins=4, integer=True)
    axes.set_xlabel("sub-categories", color=palette.muted, fontsize=9)
    axes.set_ylabel("samples", color=palette.muted, fontsize=9)
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),  # above the bars, which may fill the axes
        ncols=len(layers),
        frameon=False,
        fontsize=8.5,
        labelcolor=palette.ink,
        handlelength=1,
    )


def _draw_reasons(axes: "Axes", total: ClassYield, ranked: list[str], palette: Palette) -> None:
    names = ["kept", *ranked]
    values = [total.kept, *(total.rejected[name] for name in ranked)]
    colours = [palette.kept, *palette.reasons[:2], *[palette.reasons[2]] * len(ranked)]
    places = range(len(names))
    axes.barh(places, values, 0.7, color=colours[: len(names)])
    for place, value in zip(places, values, strict=True):
        axes.annotate(
            str(value),
            (value, place),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            color=palette.ink,
            fontsize=8.5,
        )
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    axes.set_xticks([])
    axes.margins(x=0.15)
