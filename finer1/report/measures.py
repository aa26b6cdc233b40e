"""Tables of every measure, a line per model: both protocols, behaviour, datasets, levels."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from finer1.evaluation.metrics import BOUNDS, CELLS, Cell, select
from finer1.evaluation.taxonomy import LEAF
from finer1.evaluation.verdicts import MODELS, Verdict
from finer1.report.inputs import Inputs
from finer1.report.positions import model_places, unnamed_share
from finer1.report.table import ORDERS, percent

EN_DASH = "\N{EN DASH}"

PROTOCOLS = (
    ("accuracy", "Exact"),
    ("macro_accuracy", "Exact, mean over classes"),
    ("paper_accuracy", "Inclusion, released rule"),
    ("similarity", "Similarity"),
    ("similarity_paper", "Similarity, released rule"),
)
BEHAVIOUR = (
    ("tagged", "In think and answer tags, the released format"),
    ("formatted", "In the four-section format"),
    ("truth_among_options", "Truth among the options considered"),
    ("answer_is_prediction", "Answer equals the prediction section"),
    ("hedged", "Answer names two or more"),
    ("answered_seen_class", "Answer is a seen class"),
    ("cut_off", "Cut off at the length limit"),
    ("tokens", "Tokens per completion, mean"),
)
OF_TEXT = (
    "tagged", "formatted", "truth_among_options", "answer_is_prediction", "cut_off", "tokens",
)  # fmt: skip
"""Measures of what a model writes; a CLIP model writes nothing."""
COUNTS = ("levels_n", "levels_missing")
_LEVEL_TITLES = {LEAF: "sub-category"}
DATASET_MEASURES = ("accuracy", "paper_accuracy", "similarity")


@dataclass(frozen=True)
class Group:
    """Lines of a table under one heading."""

    title: str
    rows: tuple[tuple[str, str, tuple[str, ...]], ...]
    """(model, what it is called, a text per column)."""


@dataclass(frozen=True)
class MeasureTable:
    """A table with a line per model in each group."""

    columns: tuple[str, ...]
    groups: tuple[Group, ...]


Metrics = Mapping[str, float]
Names = Mapping[str, str]
"""Model -> what it is called."""


@dataclass(frozen=True)
class Tables:
    """All such tables of the page; None for one that would have nothing to tell."""

    protocols: MeasureTable
    behaviour: MeasureTable
    datasets: MeasureTable | None
    categories: MeasureTable | None
    levels: MeasureTable | None
    positions: MeasureTable | None


def collect_tables(inputs: Inputs) -> Tables:
    """The tables of a run."""
    metrics, names = inputs.metrics, inputs.names
    order = ORDERS[inputs.params.questions.order]
    return Tables(
        protocols=protocol_table(metrics, names, order),
        behaviour=behaviour_table(metrics, names, order, inputs.wordless),
        datasets=dataset_table(metrics, names, order, inputs.params.download.datasets),
        categories=category_table(inputs.verdicts, names, order),
        levels=level_table(metrics, names, inputs.levels),
        positions=position_table(metrics, names, inputs.params.questions.num_options),
    )


def protocol_table(metrics: Metrics, names: Names, order: str) -> MeasureTable:
    """The strict rule and the released one side by side, with intervals, per cell.

    order: of the options of closed questions, in words, here and below.
    """
    return _by_cell(metrics, names, PROTOCOLS, order)


def behaviour_table(
    metrics: Metrics, names: Names, order: str, wordless: Collection[str]
) -> MeasureTable:
    """How the answers are made, per cell; wordless: the models that choose and do not write."""
    return _by_cell(metrics, names, BEHAVIOUR, order, wordless=wordless)


def dataset_table(
    metrics: Metrics, names: Names, order: str, datasets: Sequence[str]
) -> MeasureTable | None:
    """Exact, inclusion and similarity per dataset and cell; None where there is one dataset."""
    if len(datasets) < 2:
        return None
    groups = []
    for dataset in datasets:
        rows = []
        for model, name in names.items():
            keys = [f"{model}/{dataset}/{'/'.join(cell)}" for cell in CELLS]
            if any(f"{key}/n" in metrics for key in keys):
                rows.append((model, name, tuple(_several(metrics, key) for key in keys)))
        groups.append(Group(dataset, tuple(rows)))
    return MeasureTable(tuple(cell_title(cell, order) for cell in CELLS), tuple(groups))


def category_table(
    verdicts: Mapping[str, Sequence[Verdict]], names: Names, order: str
) -> MeasureTable | None:
    """Exact answers per category and cell; None where no dataset has several categories."""
    found = {(row.dataset, row.category) for row in verdicts[MODELS[0]]}
    if len(found) == len({dataset for dataset, _ in found}):
        return None
    cells = [cell for cell in CELLS if select(verdicts[MODELS[0]], cell)]
    groups = []
    for category in sorted({category for _, category in found}):
        rows = []
        for model, name in names.items():
            mine = [row for row in verdicts[model] if row.category == category]
            shares = tuple(_share(select(mine, cell)) for cell in cells)
            rows.append((model, name, shares))
        groups.append(Group(category, tuple(rows)))
    return MeasureTable(tuple(cell_title(cell, order) for cell in cells), tuple(groups))


def level_table(metrics: Metrics, names: Names, order: Sequence[str]) -> MeasureTable | None:
    """Open-world accuracy at each level of the taxonomy; None without levels.

    order: the levels from coarse to fine, the sub-category the last.
    """
    levels = [
        level
        for level in order
        if any(f"{m}/open/{s}/level_{level}" in metrics for m in names for s in ("seen", "unseen"))
    ]
    if not levels:
        return None
    measures = [
        *((f"level_{level}", _LEVEL_TITLES.get(level, level)) for level in levels),
        ("common_prefix", "Common prefix of the levels"),
        ("levels_n", "Questions"),
        ("levels_missing", "Questions without a level"),
    ]
    cells = [cell for cell in CELLS if cell[0] == "open"]
    return _by_cell(metrics, names, measures, "", cells)


def position_table(metrics: Metrics, names: Names, num_options: int) -> MeasureTable | None:
    """Accuracy by place of the right option and share of answers by place; None if all are open."""
    unnamed = {
        model: share for model in names if (share := unnamed_share(metrics, model)) is not None
    }
    if not unnamed:
        return None
    places = range(1, num_options + 1)
    right, answered = [], []
    for model, share in unnamed.items():
        keys = [f"{model}/closed/position_{place}/accuracy" for place in places]
        texts = [percent(metrics[key]) if key in metrics else EN_DASH for key in keys]
        right.append((model, names[model], (*texts, EN_DASH)))
        found = model_places(metrics, model, num_options)
        shares = [percent(place.answered) for place in found] or [EN_DASH] * num_options
        answered.append((model, names[model], (*shares, percent(share))))
    groups = (
        Group("Right, of the questions whose right option stands there", tuple(right)),
        Group("Share of the answers that name an option", tuple(answered)),
    )
    columns = (*(f"position {place}" for place in places), "name no option, of all answers")
    return MeasureTable(columns, groups)


def cell_title(cell: Cell, order: str) -> str:
    """`open, seen`; a closed one with the order of its options."""
    return ", ".join((*cell, order) if cell[0] == "closed" else cell)


def _by_cell(
    metrics: Metrics,
    names: Names,
    measures: Sequence[tuple[str, str]],
    order: str,
    cells: Sequence[Cell] = CELLS,
    wordless: Collection[str] = (),
) -> MeasureTable:
    """A group per cell that any of the models has; only the models that have it stand in it."""
    groups = []
    for cell in cells:
        rows = []
        for model, name in names.items():
            key = f"{model}/{'/'.join(cell)}"
            hidden = OF_TEXT if model in wordless else ()
            if f"{key}/n" in metrics:
                texts = (EN_DASH if m in hidden else _value(metrics, key, m) for m, _ in measures)
                rows.append((model, name, tuple(texts)))
        if rows:
            groups.append(Group(cell_title(cell, order), tuple(rows)))
    return MeasureTable(tuple(title for _, title in measures), tuple(groups))


def _value(metrics: Metrics, key: str, measure: str) -> str:
    """Per cent, with the interval where there is one; tokens as they are."""
    value = metrics.get(f"{key}/{measure}")
    if value is None:
        return EN_DASH
    if measure in COUNTS:
        return f"{value:.0f}"
    if measure == "tokens":
        return f"{value:.1f}"
    bounds = [metrics[f"{key}/{b}"] for b in BOUNDS.get(measure, ()) if f"{key}/{b}" in metrics]
    if len(bounds) < 2:
        return percent(value)
    low, high = map(percent, bounds)
    return f"{percent(value)} ({low}{EN_DASH}{high})"


def _several(metrics: Metrics, key: str) -> str:
    """Exact with its interval, then what the released rule and the similarity give."""
    found = [m for m in DATASET_MEASURES if f"{key}/{m}" in metrics]
    if not found:
        return EN_DASH
    first, *others = found
    texts = [_value(metrics, key, first), *(percent(metrics[f"{key}/{m}"]) for m in others)]
    return " / ".join(texts)


def _share(verdicts: Sequence[Verdict]) -> str:
    if not verdicts:
        return EN_DASH
    return percent(sum(row.is_correct for row in verdicts) / len(verdicts))
