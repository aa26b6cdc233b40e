"""Metrics of the evaluated models, counted from verdicts.

Keys are `<model>/<setting>/<side>/<name>`, side seen or unseen, and the same of each dataset,
`<model>/<dataset>/<setting>/<side>/<name>`; a paired difference of two models on the same questions
is `<model>-<base>/<setting>/<side>/<name>`; the position report is
`<model>/closed/position_<place>/<name>`, and `position_none/answered` is the share of answers that
are none of the options; the levels of a taxonomy are
`<model>/open/<side>/level_<name>`; votes are `<model>/votes/<name>`. All rates are shares in 0..1.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

from finer1.evaluation.statistics import (
    Bootstrap,
    macro_mean,
    mean_interval,
    mean_intervals,
    paired_values,
)
from finer1.evaluation.taxonomy import Taxonomy, level_scores
from finer1.evaluation.verdicts import MODELS, Verdict
from finer1.evaluation.votes import vote_metrics
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
"""Models of the run whose paired difference is reported; model_pairs has all."""
FINAL = "tapo"
"""The model that each further one is compared with."""

BOUNDS = {
    "accuracy": ("low", "high"),
    "paper_accuracy": ("paper_low", "paper_high"),
    "similarity": ("similarity_low", "similarity_high"),
    "similarity_paper": ("similarity_paper_low", "similarity_paper_high"),
}
"""Number with an interval -> what its ends are called."""
_RATES: dict[str, Callable[[Verdict], float]] = {
    "tagged": lambda verdict: verdict.is_tagged,
    "formatted": lambda verdict: verdict.is_formatted,
    "hedged": lambda verdict: verdict.is_hedged,
    "truth_among_options": lambda verdict: verdict.is_truth_among_options,
    "answer_is_prediction": lambda verdict: verdict.is_answer_predicted,
    "cut_off": lambda verdict: verdict.is_cut_off,
    "tokens": lambda verdict: verdict.num_tokens,
}
"""Plain means over a cell's questions; `tokens` is the mean length of a completion."""


def score_models(
    verdicts: Mapping[str, Sequence[Verdict]],
    bootstrap: Bootstrap,
    taxonomy: Taxonomy | None = None,
) -> dict[str, float]:
    """Every metric of every model, and the paired differences of model_pairs.

    verdicts: model -> its verdicts, all on the same questions; of a further model, those of one
    setting may be missing. A cell without questions has no keys.
    """
    metrics: dict[str, float] = {}
    for model, rows in verdicts.items():
        metrics |= _cell_metrics(model, rows, bootstrap)
        metrics |= _position_metrics(model, rows)
        metrics |= vote_metrics(model, _votes(rows))
        if taxonomy is not None:
            metrics |= _level_metrics(model, rows, taxonomy)
    for model, base in model_pairs(tuple(verdicts)):
        metrics |= _differences(f"{model}-{base}", verdicts[model], verdicts[base], bootstrap)
    some = next(iter(verdicts.values()), ())
    for side in ("seen", "unseen"):
        rows = select(some, ("closed", side))
        if rows:  # the score of a model that always names the first option shown
            first = sum(row.truth_position == 1 for row in rows) / len(rows)
            metrics[f"always_first/closed/{side}/accuracy"] = first
    return metrics


def model_pairs(models: Sequence[str]) -> list[tuple[str, str]]:
    """The pairs of `models` whose difference is reported: PAIRS, then tapo against each other."""
    own = [(model, base) for model, base in PAIRS if model in models and base in models]
    further = [model for model in models if model not in MODELS]
    return own + [(FINAL, model) for model in further if FINAL in models]


def select(verdicts: Iterable[Verdict], cell: Cell) -> list[Verdict]:
    """The verdicts of one setting and side."""
    setting, side = cell
    return [row for row in verdicts if row.setting == setting and row.seen == (side == "seen")]


def classes(verdicts: Iterable[Verdict]) -> list[str]:
    """The class of each verdict, unique across datasets and categories."""
    return [f"{row.dataset}/{row.category}/{row.label}" for row in verdicts]


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
    """Each cell's numbers, and the same of each dataset in it."""
    seen_labels = {(row.category, row.label) for row in verdicts if row.seen}
    metrics: dict[str, float] = {}
    for cell in CELLS:
        groups: dict[str, list[Verdict]] = defaultdict(list)
        for row in select(verdicts, cell):
            groups[model].append(row)
            groups[f"{model}/{row.dataset}"].append(row)
        for group, rows in groups.items():
            values = _intervals(rows, bootstrap)
            values["macro_accuracy"] = macro_mean(correct(rows), classes(rows))
            values |= {name: sum(map(rate, rows)) / len(rows) for name, rate in _RATES.items()}
            if cell[1] == "unseen":  # names that training pulled answers towards
                named = sum((row.category, row.named) in seen_labels for row in rows)
                values["answered_seen_class"] = named / len(rows)
            metrics |= {f"{group}/{'/'.join(cell)}/{name}": value for name, value in values.items()}
    return metrics


def _intervals(rows: Sequence[Verdict], bootstrap: Bootstrap) -> dict[str, float]:
    """Numbers of questions and classes, and all numbers that have an interval, with it."""
    columns = {
        "accuracy": correct(rows),
        "paper_accuracy": [float(row.is_correct_paper) for row in rows],
    }
    headline = [row.similarity for row in rows if row.similarity is not None]
    paper = [row.similarity_paper for row in rows if row.similarity_paper is not None]
    if len(headline) == len(paper) == len(rows):
        columns |= {"similarity": headline, "similarity_paper": paper}
    names = classes(rows)
    values: dict[str, float] = {"n": len(rows), "classes": len(set(names))}
    for name, interval in mean_intervals(columns, names, bootstrap).items():
        values[name] = interval.value
        low, high = BOUNDS[name]
        values |= {low: interval.low, high: interval.high}
    return values


def _level_metrics(model: str, verdicts: Sequence[Verdict], taxonomy: Taxonomy) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for side in ("seen", "unseen"):
        rows = select(verdicts, ("open", side))
        if not rows:
            continue
        scores = level_scores(taxonomy, [(row.dataset, row.label, row.answer) for row in rows])
        metrics |= {f"{model}/open/{side}/{name}": value for name, value in scores.items()}
    return metrics


def _votes(verdicts: Iterable[Verdict]) -> list[tuple[float, bool]]:
    """Share and correctness of each vote."""
    return [
        (row.vote_share, row.is_vote_correct)
        for row in verdicts
        if row.vote_share is not None and row.is_vote_correct is not None
    ]


def _position_metrics(model: str, verdicts: Iterable[Verdict]) -> dict[str, float]:
    """Accuracy where the right option stands at each place, and how often each is answered.

    A place where it never stands, as all but the first in stored order, has no accuracy.
    """
    rows = [row for row in verdicts if row.setting == "closed"]
    if not rows:
        return {}
    answers = Counter(row.answer_position for row in rows)
    metrics = {f"{model}/closed/position_none/answered": answers[None] / len(rows)}
    for place in range(1, max(row.num_options for row in rows) + 1):
        here = [row.is_correct for row in rows if row.truth_position == place]
        key = f"{model}/closed/position_{place}"
        metrics[f"{key}/n"] = len(here)
        metrics[f"{key}/answered"] = answers[place] / len(rows)
        if here:
            metrics[f"{key}/accuracy"] = sum(here) / len(here)
    return metrics


def _differences(
    name: str, verdicts: Sequence[Verdict], base: Sequence[Verdict], bootstrap: Bootstrap
) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for cell in CELLS:
        rows, base_rows = select(verdicts, cell), select(base, cell)
        if not rows or not base_rows:
            continue  # a model may answer one setting alone
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
