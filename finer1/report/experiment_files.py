"""The tables of experiments as rows of numbers, for CSV and JSON. All figures as shares."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from finer1.report.experiment_table import ExperimentTable

Row = Mapping[str, object]

FIELDS = (
    *("group", "paper", "setting", "kind", "row", "base", "column", "protocol"),
    *("value", "low", "high", "seeds", "per_seed", "deviation", "published", "answer"),
    *("num_classes", "needed_classes", "needed_seeds"),
)
"""kind: row or difference. low, high: over classes and seeds. deviation: over seeds.
published: as a share, too."""


def table_rows(table: ExperimentTable) -> list[Row]:
    """A row per figure: first the rows of the table, then its paired differences."""
    same = {"group": table.name, "paper": table.paper, "setting": table.setting}
    rows: list[Row] = []
    for item in table.summaries:
        paper = table.paper_value(item.name, item.column)
        rows.append(
            {
                **same,
                "kind": "row",
                "row": item.name,
                "column": item.column.name,
                "protocol": item.column.protocol,
                **asdict(item.pooled),
                "seeds": list(item.seeds),
                "per_seed": list(item.values),
                "deviation": item.deviation,
                "published": None if paper is None else round(paper / 100, 6),
            }
        )
    for change in table.differences:
        decision = change.decision
        rows.append(
            {
                **same,
                "kind": "difference",
                "row": change.name,
                "base": change.base,
                "column": change.column.name,
                "protocol": change.column.protocol,
                **asdict(decision.interval),
                "seeds": list(change.seeds),
                "per_seed": list(change.differences),
                "deviation": change.deviation,
                "answer": decision.answer,
                "num_classes": decision.num_classes,
                "needed_classes": decision.needed and decision.needed.num_classes,
                "needed_seeds": decision.needed and decision.needed.num_seeds,
            }
        )
    return rows


def tables_json(tables: Sequence[ExperimentTable]) -> list[dict[str, object]]:
    """Each table with its rows, what is missing and what must be said of it."""
    return [
        {
            "group": table.name,
            "paper": table.paper,
            "about": table.about,
            "setting": table.setting,
            "figures": [{name: row.get(name) for name in FIELDS} for row in table_rows(table)],
            "measured": [asdict(item) for item in table.measured],
            "missing": dict(table.missing),
            "notes": list(table.notes),
        }
        for table in tables
    ]


def tables_csv(tables: Sequence[ExperimentTable]) -> str:
    """All figures of all tables, one per line; lists with blanks between."""
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
    writer.writeheader()
    for row in (row for table in tables for row in table_rows(table)):
        writer.writerow({name: _plain(row.get(name)) for name in FIELDS})
    return text.getvalue()


def _plain(value: object) -> object:
    if isinstance(value, list):
        return " ".join(str(item) for item in value)
    return "" if value is None else value
