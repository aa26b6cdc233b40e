"""Metrics of a run over published datasets, as `score` would record them."""

from finer1.evaluation.metrics import BOUNDS
from finer1.report.published import SIDES

RATES = (
    "macro_accuracy", "tagged", "formatted", "truth_among_options", "answer_is_prediction",
    "hedged", "answered_seen_class", "cut_off", "tokens",
)  # fmt: skip


def cell(key, **values):
    """Metrics under `key`: measure -> (value, half width of its interval)."""
    metrics = {f"{key}/n": 100.0, f"{key}/classes": 10.0}
    for measure, (value, half) in values.items():
        low, high = BOUNDS[measure]
        metrics |= {
            f"{key}/{measure}": value,
            f"{key}/{low}": value - half,
            f"{key}/{high}": value + half,
        }
    return metrics


def everything(model, datasets, value, is_closed_only=False):
    """All measures of one model in all cells and datasets, all of one value."""
    metrics = {}
    for setting in ("closed",) if is_closed_only else ("open", "closed"):
        measures = dict.fromkeys(("accuracy", "paper_accuracy"), (value, 0.05))
        if setting == "open":
            measures |= dict.fromkeys(("similarity", "similarity_paper"), (value, 0.05))
        for side in SIDES:
            places = (model, *(f"{model}/{dataset}" for dataset in datasets))
            for key in (f"{place}/{setting}/{side}" for place in places):
                metrics |= cell(key, **measures) | {f"{key}/{name}": value for name in RATES}
    for place in (1, 2, 3, 4):
        key = f"{model}/closed/position_{place}"
        metrics |= {f"{key}/n": 50.0, f"{key}/accuracy": value, f"{key}/answered": 0.25}
    return metrics | {f"{model}/closed/position_none/answered": 0.0}
