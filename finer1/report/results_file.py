"""Every figure of the report's tables as rows, for paths.results and for MLflow.

A row has the keys of COLUMNS. Figures are per cent, differences points, tokens, MME and limits as
they are; an empty value beside a published one says that the row was not run, and the published
averages of such a row are over the datasets of this run.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence

from finer1.evaluation.metrics import BOUNDS, CELLS, model_pairs
from finer1.evaluation.votes import BINS
from finer1.params import Params
from finer1.report.comparison import (
    AVERAGE,
    Compared,
    ComparedRow,
    ComparedTable,
    average,
    compare_with_published,
    published_rows,
)
from finer1.report.general_scores import Score
from finer1.report.inputs import Inputs
from finer1.report.measures import BEHAVIOUR, OF_TEXT, PROTOCOLS
from finer1.report.names import names_in
from finer1.report.positions import model_places, unnamed_share
from finer1.report.published import SIDES, general_benchmarks
from finer1.report.table import pair_name

COLUMNS = (
    "table",
    "model",
    "dataset",
    "setting",
    "side",
    "order",
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
_ORDERS = {"shuffled": "shuffled", "stored": "truth first"}
"""questions.order -> order of the options, in rows about closed questions."""
_DIGITS = 4

Row = dict[str, object]


def result_rows(inputs: Inputs) -> list[Row]:
    """The rows of all tables, in the page's order.

    Raises ValueError for a report.published that names no row.
    """
    params, metrics, names = inputs.params, inputs.metrics, inputs.names
    rows = [*_accuracies(inputs, (ALL, *params.download.datasets))]
    rows += _differences(metrics, names)
    for table in compare_with_published(params, metrics):
        rows += _compared(table)
    rows += benchmark_rows(params, inputs.benchmarks)
    for model, name in names.items():
        rows += _positions(metrics, model, name, params.questions.num_options)
        rows += _levels(metrics, model, name)
    for model, name in names.items():
        rows += _votes(metrics, model, name)
    for model, name in names_in(params.robustness.models).items():
        rows += _robustness(metrics, model, name, params.robustness.setting)
    for row in rows:
        if row["setting"] == "closed" or row["table"] == "votes":  # votes are about both settings
            row["order"] = _ORDERS[params.questions.order]
    return rows


def benchmark_rows(params: Params, scores: Mapping[str, Sequence[Score]]) -> list[Row]:
    """Table 8: the scores of each model of params.general, beside the published ones if there are.

    Of a part of the questions there is no difference, and `limit` says of how many.
    """
    names = names_in(params.general.models)
    rows = []
    for model, found in scores.items():
        for score in found:
            published = published_score(params, model, score)
            benchmark = (names[model], score.benchmark.title, "", "", "paper")
            row = blank_row("8", *benchmark, "score", score.value)
            row |= {"low": score.low, "high": score.high, "published": published, "n": score.n}
            if published is not None and not score.limit:
                row["difference"] = score.value - published
            rows.append(rounded(row))
            more = {name: getattr(score, name) for name in ("limit", "unfinished", "unparsed")}
            for name, value in more.items():
                if value is not None:
                    rows.append(rounded(blank_row("8", *benchmark, name, value) | {"n": score.n}))
    return rows


def published_score(params: Params, model: str, score: Score) -> float | None:
    """What the row of Table 8 has that a model of params.general stands for."""
    known = general_benchmarks().get(published_rows(params).get(model, ""), {})
    return known.get(score.benchmark.column)


def rows_as_csv(rows: Sequence[Mapping[str, object]]) -> str:
    """The rows as CSV with a header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def blank_row(
    table: str,
    model: str,
    dataset: str,
    setting: str,
    side: str,
    protocol: str,
    metric: str,
    value: float | None,
) -> Row:
    given = {"table": table, "model": model, "dataset": dataset, "setting": setting}
    given |= {"side": side, "order": "", "protocol": protocol, "metric": metric}
    return {**dict.fromkeys(COLUMNS, None), **given, "value": value}


def rounded(row: Row) -> Row:
    return {
        name: round(value, _DIGITS) if isinstance(value, float) else value
        for name, value in row.items()
    }


def _accuracies(inputs: Inputs, datasets: Sequence[str]) -> Iterator[Row]:
    for dataset in datasets:
        for model, name in inputs.names.items():
            hidden = OF_TEXT if model in inputs.wordless else ()
            measures = [m for m, _ in (*PROTOCOLS, *BEHAVIOUR) if m not in hidden]
            for cell in CELLS:
                place = "/".join(cell if dataset == ALL else (dataset, *cell))
                for measure in measures:
                    if f"{model}/{place}/{measure}" in inputs.metrics:
                        what = (name, dataset, *cell)
                        yield _measured(inputs.metrics, f"{model}/{place}", measure, what)


def _measured(
    metrics: Mapping[str, float], key: str, measure: str, what: tuple[str, str, str, str]
) -> Row:
    """A row of `results`; what: model, dataset, setting, side."""
    protocol, metric = _NAMES.get(measure, ("headline", measure))
    scale = 1 if measure == "tokens" else 100
    row = blank_row("results", *what, protocol, metric, scale * metrics[f"{key}/{measure}"])
    row["n"] = int(metrics[f"{key}/n"])
    for end, bound in zip(("low", "high"), BOUNDS.get(measure, ()), strict=False):
        if f"{key}/{bound}" in metrics:
            row[end] = 100 * metrics[f"{key}/{bound}"]
    return rounded(row)


def _differences(metrics: Mapping[str, float], names: Mapping[str, str]) -> Iterator[Row]:
    for model, base in model_pairs(tuple(names)):
        for setting, side in CELLS:
            key = f"{model}-{base}/{setting}/{side}"
            if f"{key}/difference" in metrics:
                value = 100 * metrics[f"{key}/difference"]
                name = pair_name((model, base), names)
                row = blank_row(
                    "results", name, ALL, setting, side, "headline", "difference", value
                )
                row |= {end: 100 * metrics[f"{key}/{end}"] for end in ("low", "high")}
                row["n"] = int(metrics[f"{model}/{setting}/{side}/n"])
                yield rounded(row)


def _compared(compared: ComparedTable) -> Iterator[Row]:
    """The datasets of the run alone, and the averages over them."""
    table = compared.table
    if not compared.datasets:
        return
    protocol, metric = _NAMES[table.protocol_measure]
    places = [(side, dataset) for side in SIDES for dataset in (*compared.datasets, AVERAGE)]
    for row in compared.rows:
        cells = row.cells if row.model else {**row.cells, **_averages(row, compared.datasets)}
        for side, dataset in (*places, (AVERAGE, AVERAGE)):
            cell = cells[side, dataset]
            if cell.value is None and cell.published is None:
                continue
            found = blank_row(
                table.number, row.name, dataset, table.setting, side, protocol, metric, cell.value
            )
            found |= {"low": cell.low, "high": cell.high, "published": cell.published}
            found |= {"difference": cell.difference, "n": cell.num_questions or None}
            yield rounded(found)


def _averages(row: ComparedRow, datasets: Sequence[str]) -> dict[tuple[str, str], Compared]:
    """The published averages of a row that was not run, over the datasets of this run."""
    sides = {side: average([row.cells[side, name] for name in datasets]) for side in SIDES}
    both = average(list(sides.values()))
    return {(side, AVERAGE): cell for side, cell in (*sides.items(), (AVERAGE, both))}


def _positions(
    metrics: Mapping[str, float], model: str, name: str, num_options: int
) -> Iterator[Row]:
    """Accuracy where the right option stands at a place; of the answers that name an option, those
    that name it; of all answers, those that name none."""
    unnamed = unnamed_share(metrics, model)
    if unnamed is None:
        return
    counts = [metrics[f"{model}/closed/position_{k}/n"] for k in range(1, num_options + 1)]
    asked = sum(counts)
    found: list[tuple[str, float, float]] = []
    for place in model_places(metrics, model, num_options):
        if place.accuracy is not None:
            count = counts[place.number - 1]
            found.append((f"accuracy_at_{place.number}", place.accuracy, count))
        named = asked * (1 - unnamed)
        found.append((f"answered_at_{place.number}", place.answered, named))
    for metric, share, count in (*found, ("answered_none", unnamed, asked)):
        row = blank_row("positions", name, ALL, "closed", "", "headline", metric, 100 * share)
        yield rounded(row | {"n": round(count)})


def _levels(metrics: Mapping[str, float], model: str, name: str) -> Iterator[Row]:
    """Under the keys of the metrics; n: the questions whose truth the taxonomy has."""
    for side in SIDES:
        prefix = f"{model}/open/{side}/"
        for key in sorted(metrics):
            measure = key.removeprefix(prefix)
            if key.startswith(prefix) and measure.startswith(("level_", "common_prefix")):
                row = blank_row("levels", name, ALL, "open", side, "headline", measure,
                           100 * metrics[key])  # fmt: skip
                yield rounded(row | {"n": int(metrics[f"{prefix}levels_n"])})


def _votes(metrics: Mapping[str, float], model: str, name: str) -> Iterator[Row]:
    """Accuracy, calibration error, and each bin with its size; an empty bin has no value."""
    for key in (f"{model}/votes", *(f"{model}/votes/bin_{place}" for place in range(BINS))):
        if f"{key}/n" not in metrics:
            continue
        short = key.removeprefix(f"{model}/votes").lstrip("/")
        for measure in ("share", "accuracy") if short else ("accuracy", "ece"):
            value = metrics.get(f"{key}/{measure}")
            metric = f"{short}/{measure}" if short else measure
            row = blank_row("votes", name, ALL, "", "", "headline", metric,
                       None if value is None else 100 * value)  # fmt: skip
            yield rounded(row | {"n": int(metrics[f"{key}/n"])})


def _robustness(metrics: Mapping[str, float], model: str, name: str, setting: str) -> Iterator[Row]:
    """A row per corruption and severity, `none/0` the clean images; a mean has no n."""
    prefix = f"{model}/robustness/"
    for key in sorted(metrics):
        if not key.startswith(prefix) or not key.endswith(("/accuracy", "/relative")):
            continue
        row = blank_row("robustness", name, ALL, setting, "", "headline", key.removeprefix(prefix),
                   100 * metrics[key])  # fmt: skip
        cell = key.removesuffix("/accuracy")
        for end in ("low", "high"):
            if f"{cell}/{end}" in metrics:
                row[end] = 100 * metrics[f"{cell}/{end}"]
        if f"{cell}/n" in metrics:
            row["n"] = int(metrics[f"{cell}/n"])
        yield rounded(row)
