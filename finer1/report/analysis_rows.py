"""The figures of Table 4 as rows for paths.results and MLflow, beside the published ones."""

from collections.abc import Iterator

from finer1.analysis.results import Accuracy, Analysis
from finer1.evaluation.statistics import Interval
from finer1.report.analysis import RULES, changes_to_first
from finer1.report.inputs import Inputs
from finer1.report.names import names_in
from finer1.report.published import published_analyses
from finer1.report.results_file import ALL, Row, blank_row, rounded

TABLE = "4"


def analysis_rows(inputs: Inputs) -> list[Row]:
    """A row per model and measure, per difference to the first model, and as published.

    None without models. Shares are per cent, cosines, t and p as they are.
    """
    params, found = inputs.params, inputs.analyses
    if not found:
        return []
    names = names_in(params.analysis.models)
    rows = [row for name, item in found.items() for row in _model(names[name], item)]
    first = names[next(iter(found))]
    for name, change in changes_to_first(params, found).items():
        pair = f"{names[name]} - {first}"
        for rule in RULES:
            rows.append(_share(pair, f"probe_{rule}_difference", getattr(change, f"probe_{rule}")))
        rows.append(_share(pair, "separability_difference", change.separability))
        if change.similarity is not None and change.similarity_test is not None:
            rows.append(_cosine(pair, "similarity_difference", change.similarity))
            test = change.similarity_test
            rows += _tests(pair, test.t, test.p, test.permutation_p, test.n)
    for published in published_analyses():
        values = {
            "probe_best_on_test": published.probe,
            "similarity_delta": published.delta,
            "similarity_t": published.t,
            "similarity_p": published.p,
        }
        for metric, value in values.items():
            if value is not None:
                rows.append(_row(published.name, metric, None) | {"published": value})
    # Rounded like the others, a small p would be 0.
    return [row if str(row["metric"]).endswith("_p") else rounded(row) for row in rows]


def _model(name: str, item: Analysis) -> Iterator[Row]:
    for rule in RULES:
        accuracy = getattr(item.probe, rule).accuracy
        yield _share(name, f"probe_{rule}", accuracy) | {"n": len(item.test_ids)}
    names = item.separability
    yield _share(name, "separability", names.accuracy) | {"n": 2 * len(names.ids)}
    yield _share(name, "separability_plane", names.plane) | {"n": 2 * len(names.ids)}
    yield _row(name, "separability_chance", 100 * names.chance)
    yield _row(name, "separability_p", names.p)
    if item.similarity is not None:
        last, count = item.similarity.layers[-1], len(item.similarity.targets)
        delta = Interval(last.delta, last.low, last.high)
        yield _cosine(name, "similarity_delta", delta) | {"n": count}
        yield from _tests(name, last.t, last.p, last.permutation_p, count)


def _tests(
    name: str, t: float | None, p: float | None, permutation_p: float, count: int
) -> Iterator[Row]:
    values = {"t": t, "p": p, "permutation_p": permutation_p}
    for metric, value in values.items():
        yield _row(name, f"similarity_{metric}", value) | {"n": count}


def _share(name: str, metric: str, found: Accuracy | Interval) -> Row:
    row = _row(name, metric, 100 * found.value)
    return row | {"low": 100 * found.low, "high": 100 * found.high}


def _cosine(name: str, metric: str, found: Interval) -> Row:
    return _row(name, metric, found.value) | {"low": found.low, "high": found.high}


def _row(name: str, metric: str, value: float | None) -> Row:
    return blank_row(TABLE, name, ALL, "", "", "headline", metric, value)
