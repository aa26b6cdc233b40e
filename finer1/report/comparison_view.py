"""The published tables as the page prints them, and what must be said of the comparison."""

from collections.abc import Mapping
from dataclasses import dataclass

from finer1.params import Params
from finer1.report.comparison import (
    AVERAGE,
    PAPER_ENCODER,
    Compared,
    ComparedRow,
    ComparedTable,
    compare_with_published,
)
from finer1.report.inputs import Inputs
from finer1.report.published import DATASETS, SIDES
from finer1.report.results_file import Row, benchmark_rows
from finer1.report.table import describe_encoder

EN_DASH = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
COLUMNS = (
    *((side, dataset) for side in SIDES for dataset in (*DATASETS, AVERAGE)),
    (AVERAGE, AVERAGE),
)
"""(side, dataset), as the paper orders them."""


@dataclass(frozen=True)
class CellView:
    """A cell in words, per cent; empty where there is nothing to say."""

    published: str
    value: str
    interval: str
    difference: str
    is_clear: bool
    """The published figure lies outside the interval."""
    headline: str
    averaged: str
    """`2 of 6` for an average over a part of the datasets."""


@dataclass(frozen=True)
class RowView:
    """A row of a published table."""

    family: str
    name: str
    model: str
    """Empty where the row was not run."""
    cells: tuple[CellView, ...]
    """One per COLUMNS."""


@dataclass(frozen=True)
class TableView:
    """A published table, with ours where it was run."""

    number: str
    title: str
    headline: str
    """What ours under our own rules is called."""
    families: tuple[tuple[str, tuple[RowView, ...]], ...]
    """(family, its rows), as the paper orders them."""


@dataclass(frozen=True)
class ComparisonView:
    """All that the page says of the paper's figures."""

    datasets: tuple[str, ...]
    """Published datasets that the run asked about."""
    tables: tuple[TableView, ...]
    notes: tuple[str, ...]
    benchmarks: tuple[Row, ...]
    """Rows of Table 8; none where no model took the benchmarks."""


def view_comparison(inputs: Inputs) -> ComparisonView:
    """Tables 1, 2 and 6, and 7 and 8 where one of their models was run."""
    compared = compare_with_published(inputs.params, inputs.metrics)
    datasets = compared[0].datasets
    return ComparisonView(
        datasets=datasets,
        tables=tuple(map(_table, compared)),
        notes=tuple(comparison_notes(inputs.params, datasets)) if datasets else (),
        benchmarks=tuple(benchmark_rows(inputs.params, inputs.benchmarks)),
    )


def comparison_notes(params: Params, datasets: tuple[str, ...]) -> list[str]:
    """What keeps ours from being the published measurement, in sentences."""
    notes = [_questions(params)]
    parts = [name for name in datasets if params.download.is_subset(name)]
    if parts:
        notes.append(f"Of {', '.join(parts)} this run has a part of the official images.")
    if len(datasets) < len(DATASETS):
        notes.append(
            "An average is over the datasets of this run alone, and so is the published one beside "
            "it."
        )
    if not params.score.encoder.startswith(PAPER_ENCODER):
        notes.append(
            "The published similarity is by a SigLIP text tower, ours by "
            f"{describe_encoder(params.score.encoder)}: they are not comparable, and no difference "
            "is given."
        )
    if not params.report.published:
        notes.append(
            "The models of this run stand for no published row; report.published in params.yaml "
            "names one where they do."
        )
    return notes


def clip_note(params: Params, wordless: frozenset[str]) -> str:
    """The warning that a comparison with a CLIP model needs; empty without such a model.

    The closed questions of a run have their options from one source.
    """
    if not wordless:
        return ""
    settings = params.questions
    source = "foci" if settings.source == "released" else settings.options
    return (
        "A model of the CLIP family is among the models. Wrong options that such a model chose are "
        "harder for it and its kin than for others, so that to call a model better than CLIP takes "
        f"the questions of at least two sources of options. This run has one ({source})."
    )


def _questions(params: Params) -> str:
    settings = params.questions
    if settings.source == "built":
        return (
            "Ours are answers to questions that this run made (options: "
            f"{settings.options}, at most {settings.images_per_class} images per sub-category), "
            "not to the published ones."
        )
    if settings.order == "stored":
        return "The questions are the published ones, the right option first in all of them."
    return (
        "The questions are the published ones with their options in an order drawn by seed; the "
        "published evaluation puts the right option first in all of them."
    )


def _table(compared: ComparedTable) -> TableView:
    table = compared.table
    rows = list(map(_row, compared.rows))
    families = dict.fromkeys(row.family for row in rows)
    return TableView(
        number=table.number,
        title=table.title,
        headline="exact" if table.headline_measure == "accuracy" else "headline",
        families=tuple(
            (name, tuple(row for row in rows if row.family == name)) for name in families
        ),
    )


def _row(row: ComparedRow) -> RowView:
    cells = tuple(_cell(row.cells, place) for place in COLUMNS)
    return RowView(row.family, row.name, row.model or "", cells)


def _cell(cells: Mapping[tuple[str, str], Compared], place: tuple[str, str]) -> CellView:
    cell = cells[place]
    side, dataset = place
    whole = 1 if dataset != AVERAGE else len(DATASETS) * (len(SIDES) if side == AVERAGE else 1)
    change = cell.difference
    is_partial = cell.value is not None and cell.num_datasets < whole
    return CellView(
        published=_figure(cell.published),
        value=_figure(cell.value),
        interval=_interval(cell),
        difference="" if change is None else f"{change:+.1f}".replace("-", MINUS),
        is_clear=change is not None and not _holds(cell, cell.published),
        headline=_figure(cell.headline),
        averaged=f"{cell.num_datasets} of {whole}" if is_partial else "",
    )


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _interval(cell: Compared) -> str:
    if cell.low is None or cell.high is None:
        return ""
    return f"{cell.low:.1f}{EN_DASH}{cell.high:.1f}"


def _holds(cell: Compared, value: float | None) -> bool:
    if cell.low is None or cell.high is None or value is None:
        return False
    return cell.low <= value <= cell.high
