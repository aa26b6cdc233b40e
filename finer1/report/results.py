"""The page's headline: accuracies under the strict rule, paired differences, stage by stage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from finer1.evaluation.metrics import CELLS, Cell, model_pairs
from finer1.evaluation.verdicts import MODELS
from finer1.report.figures import Point, gains_chart
from finer1.report.names import MODEL_NAMES
from finer1.report.table import pair_name, percent, points

MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Figure:
    """One accuracy or difference as the table prints it, per cent or points."""

    value: str
    low: str
    high: str
    paper: str
    """Accuracy by the released rule; empty for differences."""
    is_clear: bool
    """A difference whose interval excludes zero; true for accuracies."""


@dataclass(frozen=True)
class ResultRow:
    """A row of the result table."""

    key: str
    name: str
    figures: tuple[Figure | None, ...]
    """One per cell; None where the model was not asked."""


@dataclass(frozen=True)
class Column:
    """A column of the result table: one cell of the design."""

    setting: str
    side: str
    order: str
    """Of the options, in words; empty where open-world."""
    images: int
    classes: int


@dataclass(frozen=True)
class Results:
    """What the page's tables of results hold."""

    lead: tuple[str, ...]
    """Sentences of the headline."""
    columns: tuple[Column, ...]
    models: tuple[ResultRow, ...]
    differences: tuple[ResultRow, ...]
    always_first: tuple[str, ...]
    """Score of naming the first option, per cell; empty text where open-world."""
    charts: tuple[tuple[str, Markup], ...]
    """(caption, SVG) per cell."""


def collect_results(
    metrics: Mapping[str, float], names: Mapping[str, str], num_options: int, order: str
) -> Results:
    """Tables, charts and headline from the metrics of `score`.

    names: model -> what it is called. order: of the options of closed questions, in words.
    """
    cells = [cell for cell in CELLS if f"{MODELS[0]}/{'/'.join(cell)}/n" in metrics]
    return Results(
        lead=_lead(metrics, cells),
        columns=tuple(_column(metrics, cell, order) for cell in cells),
        models=tuple(
            ResultRow(model, name, tuple(_accuracy(metrics, model, c) for c in cells))
            for model, name in names.items()
        ),
        differences=tuple(
            ResultRow(
                "-".join(pair),
                pair_name(pair, names, MINUS),
                tuple(_difference(metrics, pair, cell) for cell in cells),
            )
            for pair in model_pairs(tuple(names))
        ),
        always_first=tuple(_always_first(metrics, cell) for cell in cells),
        charts=tuple(_chart(metrics, cell, num_options) for cell in cells),
    )


def signed(share: float) -> str:
    """A difference in points with a typographic minus."""
    return points(share).replace("-", MINUS)


def _lead(metrics: Mapping[str, float], cells: Sequence[Cell]) -> tuple[str, ...]:
    sides = [side for setting, side in cells if setting == "open"]
    named = " and ".join(f"{percent(metrics[f'tapo/open/{s}/accuracy'])} % of {s}" for s in sides)
    before = [
        " and ".join(f"{percent(metrics[f'{model}/open/{side}/accuracy'])} %" for side in sides)
        for model in ("sft", "base")
    ]
    gains = " and ".join(
        f"{signed(metrics[f'tapo-sft/open/{side}/difference'])} points "
        f"({signed(metrics[f'tapo-sft/open/{side}/low'])} to "
        f"{signed(metrics[f'tapo-sft/open/{side}/high'])}) on {side} classes"
        for side in sides
    )
    unclear = [
        side
        for side in sides
        if metrics[f"tapo-sft/open/{side}/low"] <= 0 <= metrics[f"tapo-sft/open/{side}/high"]
    ]
    sentences = [
        f"Asked openly, the model after TAPO names {named} images exactly. After SFT it named "
        f"{before[0]}, the base model {before[1]}.",
        f"Over the SFT model it starts from, TAPO changes accuracy by {gains}.",
    ]
    if unclear:
        sentences.append(
            f"The interval on {' and '.join(unclear)} classes includes zero: a gain or loss "
            "there is not shown by this run."
        )
    return tuple(sentences)


def _column(metrics: Mapping[str, float], cell: Cell, order: str) -> Column:
    key = f"{MODELS[0]}/{'/'.join(cell)}"
    order = order if cell[0] == "closed" else ""
    return Column(*cell, order, int(metrics[f"{key}/n"]), int(metrics[f"{key}/classes"]))


def _accuracy(metrics: Mapping[str, float], model: str, cell: Cell) -> Figure | None:
    key = f"{model}/{'/'.join(cell)}"
    if f"{key}/n" not in metrics:
        return None
    value, low, high, paper = (
        percent(metrics[f"{key}/{name}"]) for name in ("accuracy", "low", "high", "paper_accuracy")
    )
    return Figure(value, low, high, paper, is_clear=True)


def _difference(metrics: Mapping[str, float], pair: tuple[str, str], cell: Cell) -> Figure | None:
    key = f"{'-'.join(pair)}/{'/'.join(cell)}"
    if f"{key}/difference" not in metrics:
        return None
    low, high = metrics[f"{key}/low"], metrics[f"{key}/high"]
    value = signed(metrics[f"{key}/difference"])
    return Figure(value, signed(low), signed(high), "", is_clear=not low <= 0 <= high)


def _always_first(metrics: Mapping[str, float], cell: Cell) -> str:
    key = f"always_first/{'/'.join(cell)}/accuracy"
    return percent(metrics[key]) if key in metrics else ""


def _chart(metrics: Mapping[str, float], cell: Cell, num_options: int) -> tuple[str, Markup]:
    keys = {model: f"{model}/{'/'.join(cell)}" for model in MODELS}
    marks = [
        Point(model, metrics[f"{key}/accuracy"], metrics[f"{key}/low"], metrics[f"{key}/high"])
        for model, key in keys.items()
    ]
    chance = 1 / num_options if cell[0] == "closed" else None
    # The chart holds numbers and fixed names only.
    caption = f"{cell[0]}-world, {cell[1]} classes"
    return caption, Markup(gains_chart(caption, marks, MODEL_NAMES, chance))
