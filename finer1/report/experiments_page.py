"""The page of experiments: one HTML file with the report's style, no script."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from finer1.evaluation.experiments import Column
from finer1.evaluation.statistics import Interval
from finer1.report.experiment_table import (
    ExperimentTable,
    column_name,
    decision_lines,
    missing_lines,
    seeds_text,
    where,
)
from finer1.report.measured import measured_blocks
from finer1.report.table import percent, points
from finer1.templates import templates

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class _Cell:
    value: str
    interval: str
    seeds: str
    paper: str = ""
    answer: str = ""


def render_experiments(tables: Sequence[ExperimentTable], confidence: float) -> str:
    """The page as HTML text, a section per table; values from data are escaped.

    confidence: level of the intervals, 0.95.
    """
    environment = templates(_FOLDER)
    return environment.get_template("experiments.html").render(
        style=Markup((_FOLDER / "page.css").read_text(encoding="utf-8")),
        confidence=f"{100 * confidence:.0f}",
        tables=[
            {
                "id": table.stem,
                "name": table.name,
                "setting": table.setting,
                "heading": table.heading,
                "where": where(table),
                "columns": [column_name(column) for column in table.columns],
                "rows": [
                    (title, [_row_cell(table, title, column) for column in table.columns])
                    for title in table.titles
                ],
                "changes": [
                    (pair, [_change_cell(table, pair, column) for column in table.columns])
                    for pair in table.pairs
                ],
                "measured": measured_blocks(table.measured),
                "reports": table.reports,
                "decisions": decision_lines(table),
                "missing": missing_lines(table),
                "notes": table.notes,
            }
            for table in tables
        ],
    )


def _row_cell(table: ExperimentTable, title: str, column: Column) -> _Cell | None:
    item, paper = table.cell(title, column), table.paper_value(title, column)
    if item is None and paper is None:
        return None
    published = "" if paper is None else f"{paper:.1f}"
    if item is None:
        return _Cell("", "", "", published)
    value, interval = _figure(item.pooled, False)
    return _Cell(value, interval, seeds_text(item.values, False, item.deviation), published)


def _change_cell(table: ExperimentTable, pair: tuple[str, str], column: Column) -> _Cell | None:
    item = table.change(pair, column)
    if item is None:
        return None
    value, interval = _figure(item.decision.interval, True)
    seeds = seeds_text(item.differences, True, item.deviation)
    return _Cell(value, interval, seeds, answer=item.decision.answer)


def _figure(interval: Interval, is_difference: bool) -> tuple[str, str]:
    word = points if is_difference else percent
    return word(interval.value), f"[{word(interval.low)}, {word(interval.high)}]"
