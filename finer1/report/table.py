"""Result tables as text, for the terminal and for Markdown pages. All figures in per cent."""

from collections.abc import Mapping, Sequence

from finer1.evaluation.experiments import Difference, Summary
from finer1.evaluation.metrics import CELLS, PAIRS, Cell, model_pairs
from finer1.evaluation.statistics import Interval
from finer1.evaluation.verdicts import MODELS
from finer1.params import Params
from finer1.report.names import model_names

SPELLING = "char_ngrams"
"""The text encoder that knows spelling alone."""
ORDERS = {"shuffled": "options shuffled", "stored": "truth first"}
"""questions.order in words; they stand wherever closed questions are scored by inclusion."""
_EMPTY = "-"


def run_table(params: Params, metrics: Mapping[str, float]) -> str:
    """result_table of a run. Raises ValueError when an entry of the zoo cannot be read."""
    order, encoder = ORDERS[params.questions.order], describe_encoder(params.score.encoder)
    return result_table(metrics, model_names(params), encoder, order)


def result_table(
    metrics: Mapping[str, float], names: Mapping[str, str], encoder: str, order: str
) -> str:
    """Accuracies, paired differences and the released rules' figures, as aligned ASCII text.

    metrics: those of the stage `score`. names: model -> what it is called. encoder: that of the
    similarity, in words. order: of the options of closed questions, in words.
    """
    cells = [cell for cell in CELLS if f"{MODELS[0]}/{'/'.join(cell)}/n" in metrics]
    pairs = [pair for pair in model_pairs(tuple(names)) if pair != PAIRS[-1]]
    head = [
        ["", *(" ".join(cell) for cell in cells)],
        ["images, classes", *(_sizes(metrics, cell) for cell in cells)],
    ]
    strict = [[name, *(_accuracy(metrics, m, cell) for cell in cells)] for m, name in names.items()]
    changes = [
        [pair_name(pair, names), *(_difference(metrics, pair, cell) for cell in cells)]
        for pair in pairs
    ]
    released = [
        [f"{name}, released rules", *(_released(metrics, m, c) for c in cells)]
        for m, name in names.items()
    ]
    sections = [head, strict, changes, released]
    lines = iter(_align([row for section in sections for row in section]))
    first, *others = [[next(lines) for _ in section] for section in sections]
    level = f"{100 * metrics['confidence']:.0f} %"
    return "\n".join(
        [
            *first,
            "-" * len(first[0]),
            *others[0],
            "",
            *others[1],
            "",
            "Exact answers in %, strict rule (one closed answer, one name). In brackets: "
            f"{level} interval,",
            "bootstrap over classes; differences are paired, in points.",
            "",
            *others[2],
            "",
            f"The released evaluator's rules: inclusion in % (closed-world: {order}), and behind",
            f"it, open-world, the relative semantic similarity in % (by {encoder}).",
        ]
    )


def pair_name(pair: tuple[str, str], names: Mapping[str, str], minus: str = "-") -> str:
    """`TAPO - SFT`."""
    return f"{names[pair[0]]} {minus} {names[pair[1]]}"


def describe_encoder(encoder: str) -> str:
    """The encoder of the similarity in words."""
    return f"{encoder}: spelling alone" if encoder == SPELLING else encoder


def experiment_table(summaries: Sequence[Summary], differences: Sequence[Difference]) -> str:
    """Experiments over seeds as two Markdown tables: accuracies, then paired differences.

    Every seed's figure stands in round brackets, seeds ascending; intervals in square ones.
    """
    cells = [cell for cell in CELLS if any(item.cell == cell for item in summaries)]
    head = [" ".join(cell) for cell in cells]
    by_row: dict[str, dict[Cell, Summary]] = {}
    for item in summaries:
        by_row.setdefault(item.name, {})[item.cell] = item
    rows = [
        [name, _seeds(next(iter(row.values())).seeds), *(_summary(row.get(c)) for c in cells)]
        for name, row in by_row.items()
    ]
    by_pair: dict[str, dict[Cell, Difference]] = {}
    for change in differences:
        by_pair.setdefault(f"{change.name} - {change.base}", {})[change.cell] = change
    changes = [
        [name, _seeds(next(iter(row.values())).seeds), *(_change(row.get(c)) for c in cells)]
        for name, row in by_pair.items()
    ]
    tables = [_markdown([["experiment", "seeds", *head], *rows])]
    if changes:
        tables.append(_markdown([["paired difference", "seeds", *head], *changes]))
    return "\n\n".join(tables) + (
        "\n\nAccuracy in %, mean +/- standard deviation over seeds [interval, classes and seeds "
        "resampled] (each seed). Differences in points, likewise [interval over classes; over "
        "classes and seeds] (each seed).\n"
    )


def percent(share: float) -> str:
    """A share as per cent, one decimal."""
    return f"{100 * share:.1f}"


def points(share: float) -> str:
    """A difference of shares in percentage points, signed, one decimal."""
    text = f"{100 * share:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text


def _sizes(metrics: Mapping[str, float], cell: Cell) -> str:
    key = f"{MODELS[0]}/{'/'.join(cell)}"
    return f"{metrics[f'{key}/n']:.0f}, {metrics[f'{key}/classes']:.0f}"


def _accuracy(metrics: Mapping[str, float], model: str, cell: Cell) -> str:
    key = f"{model}/{'/'.join(cell)}"
    if f"{key}/accuracy" not in metrics:
        return _EMPTY
    low, high = percent(metrics[f"{key}/low"]), percent(metrics[f"{key}/high"])
    return f"{percent(metrics[f'{key}/accuracy'])} [{low}, {high}]"


def _released(metrics: Mapping[str, float], model: str, cell: Cell) -> str:
    key = f"{model}/{'/'.join(cell)}"
    measures = (f"{key}/paper_accuracy", f"{key}/similarity_paper")
    return ", ".join(percent(metrics[name]) for name in measures if name in metrics) or _EMPTY


def _difference(metrics: Mapping[str, float], pair: tuple[str, str], cell: Cell) -> str:
    key = f"{'-'.join(pair)}/{'/'.join(cell)}"
    if f"{key}/difference" not in metrics:
        return _EMPTY
    low, high = points(metrics[f"{key}/low"]), points(metrics[f"{key}/high"])
    return f"{points(metrics[f'{key}/difference'])} [{low}, {high}]"


def _align(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            [row[0].ljust(widths[0])]
            + [text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True)]
        )
        for row in rows
    ]


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines.insert(1, f"|{'---|' * len(rows[0])}")
    return "\n".join(lines)


def _seeds(seeds: Sequence[int]) -> str:
    return ", ".join(str(seed) for seed in seeds)


def _summary(item: Summary | None) -> str:
    if item is None:
        return ""
    each = " ".join(percent(value) for value in item.accuracies)
    low, high = percent(item.pooled.low), percent(item.pooled.high)
    return f"{percent(item.pooled.value)}{_deviation(item.deviation)} [{low}, {high}] ({each})"


def _change(item: Difference | None) -> str:
    if item is None:
        return ""
    each = " ".join(points(value) for value in item.differences)
    mean = points(item.over_classes.value) + _deviation(item.deviation)
    return f"{mean} [{_range(item.over_classes)}; {_range(item.over_classes_and_seeds)}] ({each})"


def _deviation(share: float | None) -> str:
    return "" if share is None else f" +/- {percent(share)}"


def _range(interval: Interval) -> str:
    return f"{points(interval.low)}, {points(interval.high)}"
