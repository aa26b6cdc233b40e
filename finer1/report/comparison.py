"""Tables 1, 2, 6 and 7 of the paper with this run's figures beside the published ones.

A model of predict.models is compared with the published row that its entry of the zoo is titled
after, a model of the run itself with the row that report.published names for it, and otherwise
with none: what a run's base is called elsewhere cannot be read off its weights.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from finer1.evaluation.metrics import BOUNDS, Side
from finer1.evaluation.verdicts import MODELS
from finer1.params import Params
from finer1.report.names import model_names, titles
from finer1.report.published import (
    DATASETS,
    SIDES,
    PublishedTable,
    published_names,
    published_tables,
)

AVERAGE = "avg"
PAPER_ENCODER = "siglip:google/siglip-base-patch16-256"
"""The text encoder that the published similarity is measured with, at any commit."""
_IS_ALWAYS_SHOWN = {"1", "2", "6"}
"""Tables about many models; another is shown where one of its models was run."""


@dataclass(frozen=True)
class Compared:
    """One cell of a published table, per cent."""

    published: float | None
    """Of an average: over the datasets that ours is over."""
    value: float | None = None
    """Ours, under the released evaluator's rules; None where the model was not asked."""
    low: float | None = None
    high: float | None = None
    headline: float | None = None
    """Ours, under this project's own rules."""
    num_questions: int = 0
    num_datasets: int = 1
    """Datasets averaged."""
    is_comparable: bool = True
    """False where ours is measured by another encoder: no difference then."""

    @property
    def difference(self) -> float | None:
        """Ours less the published one, points."""
        if self.value is None or self.published is None or not self.is_comparable:
            return None
        return self.value - self.published


@dataclass(frozen=True)
class ComparedRow:
    """A row of a published table; without a model it was not run."""

    family: str
    name: str
    model: str | None
    """As metrics call it."""
    cells: Mapping[tuple[str, str], Compared]
    """(side, dataset), with AVERAGE for the mean over datasets and, as a side, over both sides."""


@dataclass(frozen=True)
class ComparedTable:
    """A published table and the rows of this run."""

    table: PublishedTable
    datasets: tuple[str, ...]
    """The published datasets that this run asked about; none: nothing was compared."""
    rows: tuple[ComparedRow, ...]


def compare_with_published(params: Params, metrics: Mapping[str, float]) -> list[ComparedTable]:
    """Tables 1, 2 and 6, and 7 where one of its models was run.

    metrics: those of `score`. Raises ValueError for a report.published that names no row.
    """
    rows_of = published_rows(params)
    names = model_names(params)
    is_paper_encoder = has_paper_encoder(params)
    found = []
    for table in published_tables():
        known = {row.name for row in table.rows}
        if table.number in _IS_ALWAYS_SHOWN or known & set(rows_of.values()):
            found.append(_table(table, rows_of, names, metrics, is_paper_encoder))
    return found


def published_rows(params: Params) -> dict[str, str]:
    """Model -> the published row that it stands for; models that stand for none are not in it.

    Raises ValueError for a report.published that names no row.
    """
    known = published_names()
    for model, name in params.report.published.items():
        if name not in known:
            raise ValueError(
                f"report.published.{model}: {name} is no row of the published tables; they are "
                f"{', '.join(known)}"
            )
    titled = titles(params.general.models) | titles(params.predict.models)
    own: dict[str, str] = dict(params.report.published.items())
    return {model: title for model, title in titled.items() if title in known} | own


def has_paper_encoder(params: Params) -> bool:
    """True when ours is measured with the text encoder of the paper.

    It is named by the hub's commit, or by a folder of its name; `<owner>/<name>` alone is neither.
    """
    name, _, commit = params.score.encoder.partition("@")
    if name == PAPER_ENCODER:
        return bool(commit)
    kind, _, folder = name.partition(":")
    paper_kind, _, hub_id = PAPER_ENCODER.partition(":")
    is_folder = not commit and folder.count("/") != 1
    return kind == paper_kind and is_folder and Path(folder).name == hub_id.partition("/")[2]


def average(cells: Sequence[Compared]) -> Compared:
    """Mean with equal weights over the measured cells, or over the published ones where none is.

    The interval takes the cells as independent: they are about different classes.
    """
    measured = [cell for cell in cells if cell.value is not None] or list(cells)
    values = _all([cell.value for cell in measured])
    published = _all([cell.published for cell in measured])
    headlines = _all([cell.headline for cell in measured])
    value = _mean(values)
    return Compared(
        published=_mean(published),
        value=value,
        low=_bound(value, [cell.low for cell in measured], values, -1),
        high=_bound(value, [cell.high for cell in measured], values, 1),
        headline=_mean(headlines),
        num_questions=sum(cell.num_questions for cell in measured),
        num_datasets=sum(cell.num_datasets for cell in measured),
        is_comparable=all(cell.is_comparable for cell in measured),
    )


def _table(
    table: PublishedTable,
    rows_of: Mapping[str, str],
    names: Mapping[str, str],
    metrics: Mapping[str, float],
    is_paper_encoder: bool,
) -> ComparedTable:
    is_comparable = table.headline_measure != "similarity" or is_paper_encoder
    datasets = tuple(
        name
        for name in DATASETS
        if any(f"{m}/{name}/{table.setting}/{side}/n" in metrics for m in names for side in SIDES)
    )
    asked = [model for model in names if _was_asked(model, table, metrics)]
    rows = []
    for published in table.rows:
        mine = [m for m in asked if rows_of.get(m) == published.name]
        for model in mine:
            cells = _cells(table, published.values, model, metrics, is_comparable)
            name = _name(published.name, model, names)
            rows.append(ComparedRow(published.family, name, model, cells))
        if not mine:
            cells = _cells(table, published.values, None, metrics, is_comparable)
            rows.append(ComparedRow(published.family, published.name, None, cells))
    known = {row.name for row in table.rows}
    for model in asked:
        if rows_of.get(model) not in known:
            family = "this run" if model in MODELS else "further models"
            cells = _cells(table, {}, model, metrics, is_comparable)
            rows.append(ComparedRow(family, names[model], model, cells))
    return ComparedTable(table, datasets, tuple(rows))


def _name(published: str, model: str, names: Mapping[str, str]) -> str:
    return f"{published} (this run: {names[model]})" if model in MODELS else names[model]


def _was_asked(model: str, table: PublishedTable, metrics: Mapping[str, float]) -> bool:
    measure = table.protocol_measure
    return any(
        f"{model}/{name}/{table.setting}/{side}/{measure}" in metrics
        for name in DATASETS
        for side in SIDES
    )


def _cells(
    table: PublishedTable,
    published: Mapping[tuple[Side, str], float],
    model: str | None,
    metrics: Mapping[str, float],
    is_comparable: bool,
) -> dict[tuple[str, str], Compared]:
    cells: dict[tuple[str, str], Compared] = {}
    for side in SIDES:
        for name in DATASETS:
            key = f"{model}/{name}/{table.setting}/{side}"
            cells[side, name] = _cell(
                table, published.get((side, name)), key, metrics, is_comparable
            )
        cells[side, AVERAGE] = average([cells[side, name] for name in DATASETS])
    cells[AVERAGE, AVERAGE] = average([cells[side, AVERAGE] for side in SIDES])
    return cells


def _cell(
    table: PublishedTable,
    published: float | None,
    key: str,
    metrics: Mapping[str, float],
    is_comparable: bool,
) -> Compared:
    measure = table.protocol_measure
    if f"{key}/{measure}" not in metrics:
        return Compared(published)
    low, high = BOUNDS[measure]
    return Compared(
        published,
        value=100 * metrics[f"{key}/{measure}"],
        low=100 * metrics[f"{key}/{low}"],
        high=100 * metrics[f"{key}/{high}"],
        headline=100 * metrics[f"{key}/{table.headline_measure}"],
        num_questions=int(metrics[f"{key}/n"]),
        is_comparable=is_comparable,
    )


def _all(values: Sequence[float | None]) -> list[float]:
    """The values where all are there, else none."""
    there = [value for value in values if value is not None]
    return there if len(there) == len(values) else []


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _bound(
    mean: float | None, bounds: Sequence[float | None], values: Sequence[float], sign: int
) -> float | None:
    """End of the interval of a mean of independent values, from the ends of theirs."""
    ends = _all(bounds)
    if mean is None or not ends:
        return None
    reach = math.hypot(*(end - value for end, value in zip(ends, values, strict=True))) / len(ends)
    return mean + sign * reach
