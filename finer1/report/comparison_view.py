"""The published tables as the page prints them, and what must be said of the comparison."""

from collections import Counter
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
    has_paper_encoder,
)
from finer1.report.general_scores import Score
from finer1.report.inputs import Inputs
from finer1.report.names import names_in
from finer1.report.published import DATASETS, SIDES
from finer1.report.results_file import published_score
from finer1.report.table import ORDERS, describe_encoder

EN_DASH = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
UNTAGGED = "*"
UNTAGGED_NOTE = (
    f"{UNTAGGED} The model was asked for the name alone. In closed-world questions the released "
    "evaluator's rule takes an answer without tags as wrong, even if it is the right name."
)
_OURS = {"paper_accuracy": "inclusion", "similarity_paper": "similarity"}
COLUMNS = (
    (AVERAGE, AVERAGE),
    *((side, dataset) for side in SIDES for dataset in (*DATASETS, AVERAGE)),
)
"""(side, dataset), as the paper orders them, but the average of all first: the last columns of a
wide table are the ones that a screen hides."""


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
    mark: str
    """UNTAGGED where its note holds."""


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
    ours: str
    """What ours is, in words, with the order of the options where there are any."""
    headline: str
    """What ours under our own rules is called."""
    families: tuple[tuple[str, tuple[RowView, ...]], ...]
    """(family, its rows), as the paper orders them."""


@dataclass(frozen=True)
class BenchmarkView:
    """What a model has in a benchmark of Table 8, in words; empty where there is nothing to say."""

    model: str
    benchmark: str
    value: str
    interval: str
    questions: str
    published: str
    difference: str
    unread: str
    """Completions that no answer could be read from."""


@dataclass(frozen=True)
class ComparisonView:
    """All that the page says of the paper's figures."""

    datasets: tuple[str, ...]
    """Published datasets that the run asked about."""
    columns: tuple[tuple[str, str], ...]
    """COLUMNS."""
    sides: tuple[tuple[str, int], ...]
    """(heading, columns below it)."""
    tables: tuple[TableView, ...]
    notes: tuple[str, ...]
    benchmarks: tuple[BenchmarkView, ...]
    """Rows of Table 8; none where no model took the benchmarks."""


def view_comparison(inputs: Inputs) -> ComparisonView:
    """Tables 1, 2 and 6, and 7 and 8 where one of their models was run."""
    compared = compare_with_published(inputs.params, inputs.metrics)
    datasets = compared[0].datasets
    return ComparisonView(
        datasets=datasets,
        columns=COLUMNS,
        sides=tuple(
            ("both" if side == AVERAGE else side, count)
            for side, count in Counter(side for side, _ in COLUMNS).items()
        ),
        tables=tuple(_table(table, inputs) for table in compared),
        notes=(*comparison_notes(inputs.params, datasets), *_untagged(inputs)) if datasets else (),
        benchmarks=_benchmarks(inputs),
    )


def comparison_notes(params: Params, datasets: tuple[str, ...]) -> list[str]:
    """What keeps ours from being the published measurement, in sentences."""
    notes = [_questions(params)]
    if params.questions.part == "validation":
        notes.append("Ours are about validation images, the published ones about test images.")
    if params.split.classes != "released":
        notes.append(
            "The seen and unseen sub-categories are drawn by seed, not the paper's "
            "(split.classes=released takes those)."
        )
    parts = [name for name in datasets if params.download.is_subset(name)]
    if parts:
        notes.append(f"Of {', '.join(parts)} this run has a part of the official images.")
    if len(datasets) < len(DATASETS):
        notes.append(
            "An average of ours is over the datasets of this run alone, and so is the published "
            "one beside it; that of a row which was not run is over all six."
        )
    if not has_paper_encoder(params):
        notes.append(_encoder(params.score.encoder))
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
    whose = "The questions are the published ones."
    if settings.source == "built":
        whose = (
            "Ours are answers to questions that this run made (options: "
            f"{settings.options}, at most {settings.images_per_class} images per sub-category), "
            "not to the published ones."
        )
    if settings.order == "stored":
        return f"{whose} The right option is the first in all of them, as in the published ones."
    return (
        f"{whose} Their options are in an order drawn by seed; the published evaluation puts the "
        "right option first in all of them, as the experiment truth_first does."
    )


def _encoder(encoder: str) -> str:
    """Why the similarity has no difference."""
    paper = PAPER_ENCODER.partition(":")[2]
    if encoder.startswith("siglip:") and "@" not in encoder:
        return (
            f"The published similarity is by {paper}; whether the folder of {encoder} holds it "
            "cannot be told, and no difference is given."
        )
    return (
        f"The published similarity is by {paper}, ours by {describe_encoder(encoder)}: they are "
        "not comparable, and no difference is given."
    )


def _benchmarks(inputs: Inputs) -> tuple[BenchmarkView, ...]:
    names = names_in(inputs.params.general.models)
    found = []
    for model, scores in inputs.benchmarks.items():
        for score in scores:
            published = published_score(inputs.params, model, score)
            change = None if published is None or score.limit else score.value - published
            unread = {"unfinished": score.unfinished, "unparsed": score.unparsed}
            found.append(
                BenchmarkView(
                    model=names[model],
                    benchmark=score.benchmark.title,
                    value=_figure(score.value),
                    interval=_interval(score),
                    questions=f"first {score.n} questions" if score.limit else str(score.n),
                    published=_figure(published),
                    difference=_signed(change),
                    unread=", ".join(
                        f"{share:.1f} % {name}" for name, share in unread.items() if share
                    ),
                )
            )
    return tuple(found)


def _untagged(inputs: Inputs) -> tuple[str, ...]:
    return (UNTAGGED_NOTE,) if any(asked.is_untagged for asked in inputs.asked.values()) else ()


def _table(compared: ComparedTable, inputs: Inputs) -> TableView:
    table, order = compared.table, ORDERS[inputs.params.questions.order]
    untagged = {model for model, asked in inputs.asked.items() if asked.is_untagged}
    marked = untagged if table.setting == "closed" else set()
    rows = [_row(row, UNTAGGED if row.model in marked else "") for row in compared.rows]
    families = dict.fromkeys(row.family for row in rows)
    return TableView(
        number=table.number,
        title=table.title,
        ours=", ".join(
            [_OURS[table.protocol_measure], *([order] if table.setting == "closed" else [])]
        ),
        headline="exact" if table.headline_measure == "accuracy" else "headline",
        families=tuple(
            (name, tuple(row for row in rows if row.family == name)) for name in families
        ),
    )


def _row(row: ComparedRow, mark: str) -> RowView:
    cells = tuple(_cell(row.cells, place, mark) for place in COLUMNS)
    return RowView(row.family, row.name, row.model or "", cells)


def _cell(cells: Mapping[tuple[str, str], Compared], place: tuple[str, str], mark: str) -> CellView:
    cell = cells[place]
    side, dataset = place
    whole = 1 if dataset != AVERAGE else len(DATASETS) * (len(SIDES) if side == AVERAGE else 1)
    change = cell.difference
    is_partial = cell.value is not None and cell.num_datasets < whole
    return CellView(
        published=_figure(cell.published),
        value=_figure(cell.value),
        interval=_interval(cell),
        difference=_signed(change),
        is_clear=change is not None and not _holds(cell, cell.published),
        headline=_figure(cell.headline),
        averaged=f"{cell.num_datasets} of {whole}" if is_partial else "",
        mark=mark if cell.value is not None else "",
    )


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _signed(change: float | None) -> str:
    return "" if change is None else f"{change:+.1f}".replace("-", MINUS)


def _interval(cell: Compared | Score) -> str:
    if cell.low is None or cell.high is None:
        return ""
    return f"{cell.low:.1f}{EN_DASH}{cell.high:.1f}"


def _holds(cell: Compared, value: float | None) -> bool:
    if cell.low is None or cell.high is None or value is None:
        return False
    return cell.low <= value <= cell.high
