"""Charts as inline SVG whose colours are the page's own, so that light and dark both work.

matplotlib knows no CSS variables: it draws with marker colours that are replaced afterwards.
No text from data enters a chart; names stand in the page's captions, where they are escaped.
"""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from finer1.records import ClassKey
from finer1.teacher.yield_figure import Palette, draw_yields
from finer1.teacher.yields import ClassYield

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_VARIABLES = {
    "#010203": "--ink",
    "#040506": "--muted",
    "#070809": "--line",
    "#0a0b0c": "--base",
    "#0d0e0f": "--sft",
    "#101112": "--tapo",
    "#131415": "--page",
}
MARKERS = {name: marker for marker, name in _VARIABLES.items()}
_SHAPES = {"base": "o", "sft": "s", "tapo": "D"}
_PREAMBLE = re.compile(r"^.*?(?=<svg )", re.DOTALL)
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_SIZE = re.compile(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>')
_FONT = re.compile(r"font-family: [^;]*; ")
_STYLE = re.compile(r"\s*<defs>\s*<style.*?</defs>", re.DOTALL)
_UNUSED_IDS = re.compile(r' id="[A-Za-z0-9.]+_\d+"')


@dataclass(frozen=True)
class Point:
    """Accuracy of one model with its interval, shares."""

    model: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Place:
    """One place among the options, shares."""

    number: int
    """From 1."""
    answered: float
    """Of the answers that name an option."""
    accuracy: float | None
    """Of the questions whose right option stands there; None where it never does."""


def gains_chart(
    key: str, points: Sequence[Point], names: Mapping[str, str], chance: float | None
) -> str:
    """Accuracy of the models one after the other, with intervals; SVG.

    key: tells the chart from the others on its page; it is not drawn. chance: share right by
    guessing, drawn as a dotted line; None for no line.
    """
    figure, axes = empty_chart(2.4, 2.6)
    axes.plot(
        range(len(points)),
        [100 * point.value for point in points],
        color=MARKERS["--line"],
        linewidth=1.6,
        zorder=1,
    )
    for place, point in enumerate(points):
        _draw_point(axes, place, point)
    if chance is not None:
        axes.axhline(100 * chance, color=MARKERS["--muted"], linewidth=1, linestyle=(0, (1, 3)))
        axes.annotate(
            "chance",
            (len(points) - 0.55, 100 * chance),
            xytext=(0, 3),
            ha="right",
            textcoords="offset points",
            color=MARKERS["--muted"],
            fontsize=8.5,
        )
    axes.set_xlim(-0.45, len(points) - 0.55)
    axes.set_ylim(-3, 113)  # room for a label above 100
    axes.set_yticks([0, 25, 50, 75, 100])
    axes.set_xticks(range(len(points)), [names[point.model] for point in points])
    return to_svg(figure, key)


def _draw_point(axes: "Axes", place: int, point: Point) -> None:
    """One accuracy with its interval, labelled above: labels of neighbours cannot meet there."""
    colour = MARKERS[f"--{point.model}"]
    value = 100 * point.value
    axes.vlines(place, 100 * point.low, 100 * point.high, color=colour, linewidth=2.4, zorder=2)
    axes.plot(
        [place],
        [value],
        marker=_SHAPES[point.model],
        color=colour,
        markersize=7,
        markeredgecolor=MARKERS["--page"],
        markeredgewidth=1,
        zorder=3,
    )
    axes.annotate(
        f"{value:.1f}",
        (place, max(100 * point.high, value)),
        xytext=(0, 6),
        textcoords="offset points",
        ha="center",
        va="bottom",
        color=MARKERS["--ink"],
        fontsize=10.5,
        # The line to the next model may pass behind.
        bbox={"facecolor": MARKERS["--page"], "edgecolor": "none", "pad": 0.6},
        zorder=4,
    )


def curve_chart(key: str, steps: Sequence[int], values: Sequence[float], stage: str) -> str:
    """One metric over a stage's steps; SVG. `key` as in gains_chart."""
    figure, axes = empty_chart(3.1, 1.9)
    axes.plot(
        steps,
        values,
        color=MARKERS[f"--{stage}"],
        linewidth=1.7,
        solid_joinstyle="round",
        marker=_SHAPES[stage] if len(steps) < 3 else "",
        markersize=4,
    )
    axes.locator_params(axis="y", nbins=4)
    axes.locator_params(axis="x", nbins=5, integer=True)
    axes.margins(x=0.02, y=0.12)
    return to_svg(figure, f"{stage}/{key}")


def position_chart(key: str, model: str, places: Sequence[Place], even: float) -> str:
    """Share of the answers that each place of the options gets, beside accuracy there; SVG.

    even: the share of a model that prefers no place, drawn as a dotted line. `key` as in
    gains_chart. Filled bars are shares of answers, outlined ones accuracies, where there are any.
    """
    figure, axes = empty_chart(2.4, 1.7)
    colour = MARKERS.get(f"--{model}", MARKERS["--muted"])
    numbers = [place.number for place in places]
    axes.bar(
        [number - 0.19 for number in numbers],
        [100 * place.answered for place in places],
        0.34,
        color=colour,
    )
    axes.bar(
        [place.number + 0.19 for place in places if place.accuracy is not None],
        [100 * place.accuracy for place in places if place.accuracy is not None],
        0.32,
        facecolor="none",
        edgecolor=colour,
        linewidth=1.2,
    )
    axes.axhline(100 * even, color=MARKERS["--ink"], linewidth=1, linestyle=(0, (1, 3)))
    axes.set_ylim(0, 103)
    axes.set_yticks([0, 50, 100])
    axes.set_xticks(numbers)
    return to_svg(figure, f"position/{key}")


def yield_chart(yields: Mapping[ClassKey, ClassYield]) -> str:
    """What became of the samples of each sub-category, and why they fell; SVG."""
    colours = Palette(
        ink=MARKERS["--ink"],
        muted=MARKERS["--muted"],
        line=MARKERS["--line"],
        kept=MARKERS["--sft"],
        reasons=(MARKERS["--tapo"], MARKERS["--base"], MARKERS["--line"]),
    )
    return to_svg(draw_yields(yields, colours), "yield")


def empty_chart(width: float, height: float) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(MARKERS["--line"])
    axes.grid(axis="y", color=MARKERS["--line"], linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, colors=MARKERS["--muted"], labelsize=9)
    return figure, axes


def to_svg(figure: "Figure", salt: str) -> str:
    from matplotlib import rc_context

    buffer = io.StringIO()
    # Text stays text, in the page's own font; the salt makes ids equal between runs and
    # different between the charts of one page.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": salt, "text.parse_math": False}):
        figure.savefig(
            buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
        )
    text = _PREAMBLE.sub("", buffer.getvalue(), count=1)
    for unwanted in (_METADATA, _STYLE, _FONT, _UNUSED_IDS):
        text = unwanted.sub("", text)
    text = _SIZE.sub(r'<svg viewBox="\1" aria-hidden="true">', text, count=1)
    for marker, name in _VARIABLES.items():
        text = text.replace(marker, f"var({name})")
    return text.strip()
