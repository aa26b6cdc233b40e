"""The page's figures in words and tables: headline, accuracies, behaviour, positions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from finer1.evaluation.metrics import CELLS, PAIRS, Cell, select
from finer1.evaluation.verdicts import MODELS, Verdict
from finer1.report.figures import Point, gains_chart
from finer1.report.table import MODEL_NAMES, percent, points

MINUS = "\N{MINUS SIGN}"
EN_DASH = "\N{EN DASH}"


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
    figures: tuple[Figure, ...]
    """One per cell."""


@dataclass(frozen=True)
class Column:
    """A column of the result table: one cell of the design."""

    setting: str
    side: str
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
    behaviour: tuple[tuple[str, tuple[str, ...]], ...]
    """(measure, values): for each cell in turn one value per model."""
    categories: tuple[tuple[str, tuple[str, ...]], ...]
    """(category, accuracies), in the same order."""
    positions: tuple[tuple[str, tuple[tuple[int, str, str], ...]], ...]
    """(model, ((place, accuracy there, share of answers), ...))."""


BEHAVIOUR = (
    ("macro_accuracy", "Accuracy, mean over classes"),
    ("formatted", "In the four-section format"),
    ("truth_among_options", "Truth among the options considered"),
    ("answer_is_prediction", "Answer equals the prediction section"),
    ("hedged", "Answer names two or more"),
    ("answered_seen_class", "Answer is a seen class"),
    ("cut_off", "Cut off at the length limit"),
    ("tokens", "Tokens per completion, mean"),
)


def collect_results(
    metrics: Mapping[str, float], verdicts: Mapping[str, Sequence[Verdict]], num_options: int
) -> Results:
    """Tables, charts and headline from the metrics of `score` and the verdicts."""
    cells = [cell for cell in CELLS if f"{MODELS[0]}/{'/'.join(cell)}/n" in metrics]
    return Results(
        lead=_lead(metrics, cells),
        columns=tuple(_column(metrics, cell) for cell in cells),
        models=tuple(
            ResultRow(model, MODEL_NAMES[model], tuple(_accuracy(metrics, model, c) for c in cells))
            for model in MODELS
        ),
        differences=tuple(
            ResultRow(
                "-".join(pair),
                f"{MODEL_NAMES[pair[0]]} {MINUS} {MODEL_NAMES[pair[1]]}",
                tuple(_difference(metrics, pair, cell) for cell in cells),
            )
            for pair in PAIRS
        ),
        always_first=tuple(_always_first(metrics, cell) for cell in cells),
        charts=tuple(_chart(metrics, cell, num_options) for cell in cells),
        behaviour=tuple(
            (title, tuple(_measure(metrics, m, cell, name) for cell in cells for m in MODELS))
            for name, title in BEHAVIOUR
        ),
        categories=_categories(verdicts, cells),
        positions=tuple((MODEL_NAMES[m], _positions(metrics, m, num_options)) for m in MODELS),
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


def _column(metrics: Mapping[str, float], cell: Cell) -> Column:
    key = f"{MODELS[0]}/{'/'.join(cell)}"
    return Column(*cell, int(metrics[f"{key}/n"]), int(metrics[f"{key}/classes"]))


def _accuracy(metrics: Mapping[str, float], model: str, cell: Cell) -> Figure:
    key = f"{model}/{'/'.join(cell)}"
    value, low, high, paper = (
        percent(metrics[f"{key}/{name}"]) for name in ("accuracy", "low", "high", "paper_accuracy")
    )
    return Figure(value, low, high, paper, is_clear=True)


def _difference(metrics: Mapping[str, float], pair: tuple[str, str], cell: Cell) -> Figure:
    key = f"{'-'.join(pair)}/{'/'.join(cell)}"
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


def _measure(metrics: Mapping[str, float], model: str, cell: Cell, name: str) -> str:
    value = metrics.get(f"{model}/{'/'.join(cell)}/{name}")
    if value is None:
        return EN_DASH
    return f"{value:.1f}" if name == "tokens" else percent(value)


def _categories(
    verdicts: Mapping[str, Sequence[Verdict]], cells: Sequence[Cell]
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    names = sorted({row.category for rows in verdicts.values() for row in rows})
    return tuple(
        (name, tuple(_share(verdicts[m], name, cell) for cell in cells for m in MODELS))
        for name in names
    )


def _share(verdicts: Sequence[Verdict], category: str, cell: Cell) -> str:
    rows = [row for row in select(verdicts, cell) if row.category == category]
    return percent(sum(row.is_correct for row in rows) / len(rows)) if rows else EN_DASH


def _positions(
    metrics: Mapping[str, float], model: str, num_options: int
) -> tuple[tuple[int, str, str], ...]:
    keys = {place: f"{model}/closed/position_{place}" for place in range(1, num_options + 1)}
    return tuple(
        (place, percent(metrics[f"{key}/accuracy"]), percent(metrics[f"{key}/answered"]))
        for place, key in keys.items()
        if f"{key}/n" in metrics
    )
