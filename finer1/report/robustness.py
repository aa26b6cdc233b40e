"""The page's figures of accuracy on corrupted images: a line per model over the severities."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from finer1.report.figures import MARKERS, empty_chart, to_svg
from finer1.report.table import percent
from finer1.robustness.cells import CLEAN, Cell
from finer1.robustness.corruptions import CORRUPTIONS
from finer1.robustness.scores import MEAN

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NOTE = (
    "Each question is asked again about damaged copies of its image. The corruptions have the "
    "names that are usual, but they are this project's own and not ImageNet-C: compare the models "
    "with each other, not with published figures. Severity 0 is the image itself."
)
MEAN_TITLE = "mean of all"
EN_DASH = "\N{EN DASH}"
_OWN_STYLES = {"base": ("--base", "o"), "sft": ("--sft", "s"), "tapo": ("--tapo", "D")}
_STYLES = (
    ("--tapo", "D"),
    ("--sft", "s"),
    ("--base", "o"),
    ("--ink", "^"),
    ("--muted", "v"),
)
"""(colour, mark) of models under names of their own, one after the other."""
_DASHES = ("solid", (0, (4, 2)), (0, (1, 2)))
"""Further models have the colours again with the next line."""
_SHAPES = {
    "o": '<circle cx="14" cy="5" r="3.4"/>',
    "s": '<path d="M11 2h6v6h-6z"/>',
    "D": '<path d="M14 1l4 4-4 4-4-4z"/>',
    "^": '<path d="M14 1l4 7h-8z"/>',
    "v": '<path d="M14 9l4-7h-8z"/>',
}


@dataclass(frozen=True)
class Line:
    """How one model is drawn."""

    colour: str
    """A CSS variable of the page."""
    mark: str
    dash: str | tuple[int, tuple[int, ...]]


@dataclass(frozen=True)
class Series:
    """Accuracies of one model over severities, shares."""

    line: Line
    severities: tuple[int, ...]
    values: tuple[float, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]


@dataclass(frozen=True)
class RobustnessRow:
    """Accuracies of one model under one corruption, per cent."""

    model: str
    """What it is called."""
    corruption: str
    """In words; `mean of all` first."""
    clean: str
    accuracies: tuple[str, ...]
    """One per severity of the view; a dash where it was not asked."""


@dataclass(frozen=True)
class RobustnessView:
    """What the page says about accuracy on corrupted images."""

    note: str
    """What was done, and that it is not ImageNet-C."""
    legend: tuple[tuple[str, Markup], ...]
    """(what the model is called, its line and mark as a small SVG)."""
    charts: tuple[tuple[str, Markup], ...]
    """(caption, SVG): the mean over the corruptions first, then each."""
    severities: tuple[int, ...]
    relative: tuple[tuple[str, int, str], ...]
    """(what the model is called, images, mean accuracy over all corruptions and severities, per
    cent of the clean one); a dash where no clean image was named right."""
    rows: tuple[RobustnessRow, ...]
    """The figures of the charts in words, for a table: the charts themselves are not read out."""


def collect_robustness(
    metrics: Mapping[str, float], names: Mapping[str, str]
) -> RobustnessView | None:
    """Charts and table of the models of params.robustness; None where none was scored.

    names: name in the settings -> what the model is called.
    """
    scored = [name for name in names if _key(name, CLEAN, "n") in metrics]
    if not scored:
        return None
    cells = {name: _cells(metrics, name) for name in scored}
    found = {corruption for name in scored for corruption, _ in cells[name]}
    corruptions = [name for name in (MEAN, *CORRUPTIONS) if name in found]
    severities = tuple(sorted({severity for name in scored for _, severity in cells[name]}))
    lines = choose_lines(scored)
    charts = []
    for corruption in corruptions:
        drawn = [
            _series(metrics, name, corruption, cells[name], lines[name])
            for name in scored
            if any(c == corruption for c, _ in cells[name])
        ]
        # The chart holds numbers only.
        svg = Markup(robustness_chart(corruption, drawn, has_intervals=corruption == MEAN))
        charts.append((title(corruption), svg))
    return RobustnessView(
        note=NOTE,
        legend=tuple((names[name], swatch(lines[name])) for name in scored),
        charts=tuple(charts),
        severities=severities,
        relative=tuple((names[name], *_relative(metrics, name)) for name in scored),
        rows=tuple(
            RobustnessRow(
                names[name],
                title(corruption),
                percent(metrics[_key(name, CLEAN, "accuracy")]),
                tuple(_percent(metrics, name, (corruption, severity)) for severity in severities),
            )
            for corruption in corruptions
            for name in scored
        ),
    )


def robustness_chart(corruption: str, series: Sequence[Series], has_intervals: bool) -> str:
    """Accuracy against severity, a line per model; SVG."""
    figure, axes = empty_chart(2.4, 2.0)
    for place, item in enumerate(series):
        # Apart, so that the intervals of models can be told from each other.
        shift = 0.09 * (place - (len(series) - 1) / 2) if has_intervals else 0.0
        _draw(axes, item, shift, has_intervals)
    ticks = sorted({severity for item in series for severity in item.severities})
    axes.set_xlim(-0.5, max(ticks) + 0.4)
    axes.set_ylim(-3, 103)
    axes.set_yticks([0, 25, 50, 75, 100])
    axes.set_xticks(ticks, ["clean" if tick == 0 else str(tick) for tick in ticks])
    return to_svg(figure, f"robustness/{corruption}")


def choose_lines(names: Sequence[str]) -> dict[str, Line]:
    """Colour, mark and line of each model; base, sft and tapo look as everywhere on the page."""
    lines = {name: Line(*_OWN_STYLES[name], "solid") for name in names if name in _OWN_STYLES}
    taken = {line.colour for line in lines.values()}
    free = [style for style in _STYLES if style[0] not in taken]
    others = [name for name in names if name not in lines]
    for place, name in enumerate(others):
        lap, number = divmod(place, len(free))
        lines[name] = Line(*free[number], _DASHES[lap % len(_DASHES)])
    return lines


def swatch(line: Line) -> Markup:
    """A piece of the model's line with its mark, as tall as the text around it."""
    dash = "none" if isinstance(line.dash, str) else " ".join(map(str, line.dash[1]))
    return Markup(
        '<svg viewBox="0 0 28 10" aria-hidden="true" '
        'style="display:inline-block;width:1.9em;vertical-align:middle">'
        f'<path d="M0 5h28" stroke="var({line.colour})" stroke-width="1.6" '
        f'stroke-dasharray="{dash}"/>'
        f'<g fill="var({line.colour})">{_SHAPES[line.mark]}</g></svg>'
    )


def title(corruption: str) -> str:
    """A corruption in words."""
    return MEAN_TITLE if corruption == MEAN else corruption.replace("_", " ")


def _draw(axes: "Axes", item: Series, shift: float, has_intervals: bool) -> None:
    colour = MARKERS[item.line.colour]
    places = [severity + shift for severity in item.severities]
    if has_intervals:
        lows, highs = ([100 * value for value in ends] for ends in (item.lows, item.highs))
        axes.vlines(places, lows, highs, color=colour, linewidth=1.2, alpha=0.6, zorder=2)
    axes.plot(
        places,
        [100 * value for value in item.values],
        color=colour,
        linestyle=item.line.dash,
        linewidth=1.6,
        marker=item.line.mark,
        markersize=4.5,
        markeredgecolor=MARKERS["--page"],
        markeredgewidth=0.6,
        zorder=3,
    )


def _cells(metrics: Mapping[str, float], name: str) -> list[Cell]:
    """Damaged cells of the model, the means among them."""
    start = f"{name}/robustness/"
    keys = [key[len(start) :].split("/") for key in metrics if key.startswith(start)]
    cells = [(parts[0], int(parts[1])) for parts in keys if len(parts) == 3]
    return [cell for cell in dict.fromkeys(cells) if cell != CLEAN]


def _series(
    metrics: Mapping[str, float], name: str, corruption: str, cells: Sequence[Cell], line: Line
) -> Series:
    here = [CLEAN, *sorted(cell for cell in cells if cell[0] == corruption)]
    columns = [
        tuple(metrics[_key(name, cell, what)] for cell in here)
        for what in ("accuracy", "low", "high")
    ]
    return Series(line, tuple(severity for _, severity in here), *columns)


def _relative(metrics: Mapping[str, float], name: str) -> tuple[int, str]:
    share = metrics.get(f"{name}/robustness/relative")
    images = int(metrics[_key(name, CLEAN, "n")])
    return images, EN_DASH if share is None else percent(share)


def _percent(metrics: Mapping[str, float], name: str, cell: Cell) -> str:
    value = metrics.get(_key(name, cell, "accuracy"))
    return EN_DASH if value is None else percent(value)


def _key(name: str, cell: Cell, what: str) -> str:
    return f"{name}/robustness/{cell[0]}/{cell[1]}/{what}"
