"""Result tables as text, for the terminal and for Markdown pages. All figures in per cent."""

from collections.abc import Mapping, Sequence

from finer1.evaluation.metrics import CELLS, PAIRS, Cell, model_pairs
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
