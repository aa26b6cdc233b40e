"""The page's figures of the share of votes: how often an answer is right that many samples give."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from finer1.evaluation.votes import BINS
from finer1.report.figures import MARKERS, empty_chart, to_svg
from finer1.report.robustness import choose_lines
from finer1.report.table import percent

NOTE = (
    "Several completions are sampled for one question, and the answer that most of them give "
    "stands for the model. If the share of them is to be read as certainty, answers with a share "
    "of, say, 60 % must be right 60 % of the time: the dotted line. Below it the model is too "
    "sure of itself. The numbers beside the points are questions: open and closed ones, about seen "
    "and unseen sub-categories, all together."
)
EN_DASH = "\N{EN DASH}"


@dataclass(frozen=True)
class Bin:
    """The questions whose majority answers have a like share of votes."""

    n: int
    share: float
    """Mean share of votes."""
    accuracy: float


@dataclass(frozen=True)
class CalibrationRow:
    """One bin of vote shares of one model."""

    model: str
    """What it is called."""
    votes: str
    """`above 20, to 40 %`."""
    n: int
    share: str
    """Mean vote share in the bin, per cent; a dash in an empty bin."""
    accuracy: str
    """Share of majority answers that are right, per cent; a dash in an empty bin."""


@dataclass(frozen=True)
class CalibrationView:
    """What the page says about the share of votes as a measure of certainty."""

    note: str
    charts: tuple[tuple[str, str, Markup], ...]
    """(what the model is called, key figures in words, SVG)."""
    rows: tuple[CalibrationRow, ...]
    """The figures of the charts in words, for a table: the charts themselves are not read out."""


def collect_calibration(
    metrics: Mapping[str, float], names: Mapping[str, str]
) -> CalibrationView | None:
    """Reliability diagrams of those of the models that have votes; None for none.

    names: model -> what it is called.
    """
    voted = [model for model in names if metrics.get(f"{model}/votes/n")]
    if not voted:
        return None
    bins = {model: [_bin(metrics, model, place) for place in range(BINS)] for model in voted}
    return CalibrationView(
        note=NOTE,
        charts=tuple(
            # The chart holds numbers only.
            (
                names[model],
                _figures(metrics, model),
                Markup(reliability_chart(model, bins[model])),
            )
            for model in voted
        ),
        rows=tuple(
            _row(names[model], place, item)
            for model in voted
            for place, item in enumerate(bins[model])
        ),
    )


def reliability_chart(model: str, bins: Sequence[Bin | None]) -> str:
    """Accuracy of the majority answers against their share of votes, a point per bin; SVG."""
    figure, axes = empty_chart(2.6, 2.5)
    line = choose_lines([model])[model]
    axes.plot(
        [0, 100], [0, 100], color=MARKERS["--muted"], linewidth=1, linestyle=(0, (1, 3)), zorder=1
    )
    filled = [item for item in bins if item is not None]
    axes.plot(
        [100 * item.share for item in filled],
        [100 * item.accuracy for item in filled],
        color=MARKERS[line.colour],
        linewidth=1.6,
        marker=line.mark,
        markersize=7,
        markeredgecolor=MARKERS["--page"],
        markeredgewidth=1,
        zorder=3,
    )
    for item in filled:
        # Away from the dotted line, save where the axis is.
        is_below = 0.12 <= item.accuracy < item.share
        axes.annotate(
            str(item.n),
            (100 * item.share, 100 * item.accuracy),
            xytext=(0, -7 if is_below else 7),
            textcoords="offset points",
            ha="center",
            va="top" if is_below else "bottom",
            color=MARKERS["--ink"],
            fontsize=8.5,
        )
    axes.set_xlim(-3, 106)
    axes.set_ylim(-3, 113)  # room for a number above 100
    axes.set_xticks([0, 20, 40, 60, 80, 100])
    axes.set_yticks([0, 25, 50, 75, 100])
    axes.set_xlabel("share of votes, %", color=MARKERS["--muted"], fontsize=9)
    axes.set_ylabel("right, %", color=MARKERS["--muted"], fontsize=9)
    return to_svg(figure, f"calibration/{model}")


def _bin(metrics: Mapping[str, float], model: str, place: int) -> Bin | None:
    key = f"{model}/votes/bin_{place}"
    count = int(metrics.get(f"{key}/n", 0))
    return Bin(count, metrics[f"{key}/share"], metrics[f"{key}/accuracy"]) if count else None


def _row(name: str, place: int, item: Bin | None) -> CalibrationRow:
    votes = f"above {100 * place // BINS}, to {100 * (place + 1) // BINS} %"
    if item is None:
        return CalibrationRow(name, votes, 0, EN_DASH, EN_DASH)
    return CalibrationRow(name, votes, item.n, percent(item.share), percent(item.accuracy))


def _figures(metrics: Mapping[str, float], model: str) -> str:
    key = f"{model}/votes"
    return (
        f"{int(metrics[f'{key}/n'])} questions, {percent(metrics[f'{key}/accuracy'])} % of the "
        f"majority answers right, expected calibration error {percent(metrics[f'{key}/ece'])} %"
    )
