"""Metrics of the evaluated models, counted from verdicts.

Keys are `<model>/<setting>/<side>/<name>`, side seen or unseen; a paired difference of two models
on the same questions is `<model>-<base>/<setting>/<side>/<name>`; the position report is
`<model>/closed/position_<place>/<name>`. All rates are shares in 0..1.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

from finer1.evaluation.statistics import Bootstrap, macro_mean, mean_interval, paired_values
from finer1.evaluation.verdicts import Verdict
from finer1.records import Setting

Side = Literal["seen", "unseen"]
Cell = tuple[Setting, Side]

CELLS: tuple[Cell, ...] = (
    ("open", "seen"),
    ("open", "unseen"),
    ("closed", "seen"),
    ("closed", "unseen"),
)
PAIRS = (("sft", "base"), ("tapo", "sft"), ("tapo", "base"))
"""Models whose paired difference is reported."""

_RATES: dict[str, Callable[[Verdict], float]] = {
    "paper_accuracy": lambda verdict: verdict.is_correct_paper,
    "formatted": lambda verdict: verdict.is_formatted,
    "hedged": lambda verdict: verdict.is_hedged,
    "truth_among_options": lambda verdict: verdict.is_truth_among_options,
    "answer_is_prediction": lambda verdict: verdict.is_answer_predicted,
    "cut_off": lambda verdict: verdict.is_cut_off,
    "tokens": lambda verdict: verdict.num_tokens,
}
"""Plain means over a cell's questions; `tokens` is the mean length of a completion."""


def score_models(
    verdicts: Mapping[str, Sequence[Verdict]], bootstrap: Bootstrap
) -> dict[str, float]:
    """Every metric of every model, and the paired differences of PAIRS.

    verdicts: model -> its verdicts, all on the same questions. A cell without questions has no
    keys.
    """
    metrics: dict[str, float] = {}
    for model, rows in verdicts.items():
        metrics |= _cell_metrics(model, rows, bootstrap)
        metrics |= _position_metrics(model, rows)
    for model, base in PAIRS:
        if model in verdicts and base in verdicts:
            metrics |= _differences(f"{model}-{base}", verdicts[model], verdicts[base], bootstrap)
    some = next(iter(verdicts.values()), ())
    for side in ("seen", "unseen"):
        rows = select(some, ("closed", side))
        if rows:  # the score of a model that always names the first option shown
            first = sum(row.truth_position == 1 for row in rows) / len(rows)
            metrics[f"always_first/closed/{side}/accuracy"] = first
    return metrics


def select(verdicts: Iterable[Verdict], cell: Cell) -> list[Verdict]:
    """The verdicts of one setting and side."""
    setting, side = cell
    return [row for row in verdicts if row.setting == setting and row.seen == (side == "seen")]


def classes(verdicts: Iterable[Verdict]) -> list[str]:
    """The class of each verdict, unique across categories."""
    return [f"{row.category}/{row.label}" for row in verdicts]


def correct(verdicts: Iterable[Verdict]) -> list[float]:
    """1.0 for each strictly correct verdict, else 0.0."""
    return [float(row.is_correct) for row in verdicts]


def top_confusions(
    verdicts: Iterable[Verdict], count: int
) -> list[tuple[tuple[str, str, str], int]]:
    """The most frequent wrong sub-categories: ((category, label, answered), times), worst first.

    Only answers that are a sub-category of the category count; ties in alphabetical order.
    """
    pairs = Counter(
        (row.category, row.label, row.named)
        for row in verdicts
        if row.named is not None and not row.is_correct
    )
    return sorted(pairs.items(), key=lambda item: (-item[1], item[0]))[:count]


def _cell_metrics(
    model: str, verdicts: Sequence[Verdict], bootstrap: Bootstrap
) -> dict[str, float]:
    seen_labels = {(row.category, row.label) for row in verdicts if row.seen}
    metrics: dict[str, float] = {}
    for cell in CELLS:
        rows = select(verdicts, cell)
        if not rows:
            continue
        interval = mean_interval(correct(rows), classes(rows), bootstrap)
        values = {
            "accuracy": interval.value,
            "low": interval.low,
            "high": interval.high,
            "macro_accuracy": macro_mean(correct(rows), classes(rows)),
            "n": len(rows),
            "classes": len(set(classes(rows))),
            **{name: sum(map(rate, rows)) / len(rows) for name, rate in _RATES.items()},
        }
        if cell[1] == "unseen":  # names that training pulled answers towards
            named = sum((row.category, row.named) in seen_labels for row in rows)
            values["answered_seen_class"] = named / len(rows)
        metrics |= {f"{model}/{'/'.join(cell)}/{name}": value for name, value in values.items()}
    return metrics


def _position_metrics(model: str, verdicts: Iterable[Verdict]) -> dict[str, float]:
    """Accuracy where the right option stands at each place, and how often each is answered."""
    rows = [row for row in verdicts if row.setting == "closed"]
    metrics: dict[str, float] = {}
    for place in sorted({row.truth_position for row in rows if row.truth_position is not None}):
        here = [row.is_correct for row in rows if row.truth_position == place]
        key = f"{model}/closed/position_{place}"
        metrics[f"{key}/n"] = len(here)
        metrics[f"{key}/accuracy"] = sum(here) / len(here)
        answered = sum(row.answer_position == place for row in rows)
        metrics[f"{key}/answered"] = answered / len(rows)
    return metrics


def _differences(
    name: str, verdicts: Sequence[Verdict], base: Sequence[Verdict], bootstrap: Bootstrap
) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for cell in CELLS:
        rows, base_rows = select(verdicts, cell), select(base, cell)
        if not rows:
            continue
        values = paired_values(
            [row.question_id for row in rows],
            correct(rows),
            [row.question_id for row in base_rows],
            correct(base_rows),
        )
        interval = mean_interval(values, classes(rows), bootstrap)
        key = f"{name}/{'/'.join(cell)}"
        metrics[f"{key}/difference"] = interval.value
        metrics[f"{key}/low"] = interval.low
        metrics[f"{key}/high"] = interval.high
    return metrics
