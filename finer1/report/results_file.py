"""Every figure of the report's tables as rows, for paths.results and for MLflow.

A row has the keys of COLUMNS. Figures are per cent, differences points, tokens and MME as they are;
an empty value beside a published one says that the row was not run.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence

from finer1.evaluation.metrics import CELLS, model_pairs
from finer1.params import Params
from finer1.report.comparison import (
    AVERAGE,
    BOUNDS,
    ComparedTable,
    compare_with_published,
    published_rows,
)
from finer1.report.inputs import Inputs
from finer1.report.measures import BEHAVIOUR, PROTOCOLS
from finer1.report.names import every_name
from finer1.report.published import SIDES, general_benchmarks
from finer1.report.table import pair_name

COLUMNS = (
    "table",
    "model",
    "dataset",
    "setting",
    "side",
    "protocol",
    "metric",
    "value",
    "low",
    "high",
    "published",
    "difference",
    "n",
)
ALL = "all"
"""In place of a dataset: all questions, each weighing the same."""
_NAMES = {
    "paper_accuracy": ("paper", "inclusion"),
    "similarity_paper": ("paper", "similarity"),
}
"""Measure -> protocol and metric; the others are of the headline and called as they are."""
_DIGITS = 4

Row = dict[str, object]


def result_rows(inputs: Inputs) -> list[Row]:
    """The rows of all tables, in the page's order.

    Raises ValueError for a report.published that names no row.
    """
    params, metrics, names = inputs.params, inputs.metrics, inputs.names
    rows = [*_accuracies(metrics, names, (ALL, *params.download.datasets))]
    rows += _differences(metrics, names)
    for table in compare_with_published(params, metrics):
        rows += _compared(table)
    rows += benchmark_rows(params, inputs.benchmarks)
    for model, name in names.items():
        rows += _positions(metrics, model, name)
    for model, name in every_name(params).items():
        rows += _others(metrics, model, name)
    return rows


def benchmark_rows(params: Params, scores: Mapping[str, Mapping[str, float]]) -> list[Row]:
    """Table 8: the scores of each model of params.general, beside the published ones if there are.

    scores: model -> benchmark as the table calls it -> score.
    """
    published = general_benchmarks()
    rows_of, names = published_rows(params), every_name(params)
    rows = []
    for model, found in scores.items():
        known = published.get(rows_of.get(model, ""), {})
        for benchmark, value in found.items():
            row = _row("8", names[model], benchmark, "", "", "paper", "score", value)
            if benchmark in known:
                row |= {"published": known[benchmark], "difference": value - known[benchmark]}
            rows.append(_rounded(row))
    return rows


def rows_as_csv(rows: Sequence[Mapping[str, object]]) -> str:
    """The rows as CSV with a header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _row(
    table: str,
    model: str,
    dataset: str,
    setting: str,
    side: str,
    protocol: str,
    metric: str,
    value: float | None,
) -> Row:
    given = (table, model, dataset, setting, side, protocol, metric, value)
    return {**dict.fromkeys(COLUMNS, None), **dict(zip(COLUMNS, given, strict=False))}


def _rounded(row: Row) -> Row:
    return {
        name: round(value, _DIGITS) if isinstance(value, float) else value
        for name, value in row.items()
    }


def _accuracies(
    metrics: Mapping[str, float], names: Mapping[str, str], datasets: Sequence[str]
) -> Iterator[Row]:
    for dataset in datasets:
        for model, name in names.items():
            for setting, side in CELLS:
                place = f"{setting}/{side}" if dataset == ALL else f"{dataset}/{setting}/{side}"
                for measure, _ in (*PROTOCOLS, *BEHAVIOUR):
                    key = f"{model}/{place}"
                    if f"{key}/{measure}" not in metrics:
                        continue
                    protocol, metric = _NAMES.get(measure, ("headline", measure))
                    scale = 1 if measure == "tokens" else 100
                    value = scale * metrics[f"{key}/{measure}"]
                    row = _row("results", name, dataset, setting, side, protocol, metric, value)
                    row["n"] = int(metrics[f"{key}/n"])
                    for end, bound in zip(("low", "high"), BOUNDS.get(measure, ()), strict=False):
                        if f"{key}/{bound}" in metrics:
                            row[end] = 100 * metrics[f"{key}/{bound}"]
                    yield _rounded(row)


def _differences(metrics: Mapping[str, float], names: Mapping[str, str]) -> Iterator[Row]:
    for model, base in model_pairs(tuple(names)):
        for setting, side in CELLS:
            key = f"{model}-{base}/{setting}/{side}"
            if f"{key}/difference" in metrics:
                value = 100 * metrics[f"{key}/difference"]
                name = pair_name((model, base), names)
                row = _row("results", name, ALL, setting, side, "headline", "difference", value)
                row |= {end: 100 * metrics[f"{key}/{end}"] for end in ("low", "high")}
                row["n"] = int(metrics[f"{model}/{setting}/{side}/n"])
                yield _rounded(row)


def _compared(compared: ComparedTable) -> Iterator[Row]:
    """The datasets of the run alone, and the averages over them."""
    table = compared.table
    if not compared.datasets:
        return
    protocol, metric = _NAMES[table.protocol_measure]
    places = [(side, dataset) for side in SIDES for dataset in (*compared.datasets, AVERAGE)]
    for row in compared.rows:
        for side, dataset in (*places, (AVERAGE, AVERAGE)):
            cell = row.cells[side, dataset]
            if cell.value is None and cell.published is None:
                continue
            found = _row(
                table.number, row.name, dataset, table.setting, side, protocol, metric, cell.value
            )
            found |= {"low": cell.low, "high": cell.high, "published": cell.published}
            found |= {"difference": cell.difference, "n": cell.num_questions or None}
            yield _rounded(found)


def _positions(metrics: Mapping[str, float], model: str, name: str) -> Iterator[Row]:
    place = 1
    while f"{model}/closed/position_{place}/n" in metrics:
        key = f"{model}/closed/position_{place}"
        for measure in ("accuracy", "answered"):
            row = _row(
                "positions", name, ALL, "closed", "", "headline", f"{measure}_at_{place}",
                100 * metrics[f"{key}/{measure}"],
            )  # fmt: skip
            row["n"] = int(metrics[f"{key}/n"]) if measure == "accuracy" else None
            yield _rounded(row)
        place += 1


def _others(metrics: Mapping[str, float], model: str, name: str) -> Iterator[Row]:
    """Levels, votes and corruptions, under the keys of the metrics."""
    for side in SIDES:
        prefix = f"{model}/open/{side}/"
        for key in sorted(metrics):
            measure = key.removeprefix(prefix)
            if key.startswith(prefix) and measure.startswith(("level_", "common_prefix")):
                yield _rounded(
                    _row("levels", name, ALL, "open", side, "headline", measure, 100 * metrics[key])
                )
    for table in ("votes", "robustness"):
        prefix = f"{model}/{table}/"
        for key in sorted(metrics):
            if key.startswith(prefix) and not key.endswith("/n"):
                measure = key.removeprefix(prefix)
                yield _rounded(
                    _row(table, name, ALL, "", "", "headline", measure, 100 * metrics[key])
                )
