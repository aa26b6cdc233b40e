"""A table or figure of the paper, by one's own runs: rows, published values, paired differences.

As aligned text for the terminal and as Markdown; experiment_files.py and experiments_page.py have
the other forms. All figures in per cent or points.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from finer1.evaluation.decision import Decision
from finer1.evaluation.experiments import Column, Difference, Summary
from finer1.evaluation.statistics import Interval
from finer1.report.measured import Measured, measured_blocks
from finer1.report.published_ablations import published_ablations
from finer1.report.table import percent, points

_MEASURES = {
    ("accuracy", "shuffled"): "accuracy",
    ("accuracy", "paper"): "inclusion",
    ("similarity", "shuffled"): "similarity",
    ("similarity", "paper"): "similarity, released",
}


@dataclass(frozen=True)
class ExperimentTable:
    """All that is said of one group."""

    name: str
    """Of the group in params.yaml."""
    paper: str | None
    about: str
    setting: str | None
    """The full-scale setting that it was run on; None for the embedded default."""
    columns: tuple[Column, ...]
    titles: tuple[str, ...]
    """Every row, those without a run too."""
    summaries: tuple[Summary, ...]
    differences: tuple[Difference, ...]
    published: Mapping[str, str]
    """Title -> what the paper's table calls it."""
    missing: Mapping[str, str]
    """Title -> what is not there of it."""
    notes: tuple[str, ...]
    """What must stand below."""
    measured: tuple[Measured, ...] = ()
    """Table 4 of each run that has it."""
    reports: tuple[str, ...] = ()
    """Files beside the table: the reports of single runs, with their figures."""

    @property
    def stem(self) -> str:
        """Name of its files and of its place on the page, one per group and setting."""
        return f"{self.setting}-{self.name}" if self.setting else self.name

    @property
    def heading(self) -> str:
        """`Figure 3c: components of training`."""
        return f"{self.paper}: {self.about}" if self.paper else self.about

    def cell(self, title: str, column: Column) -> Summary | None:
        """The row's figures in a column; None where there are none."""
        found = (s for s in self.summaries if s.name == title and s.column == column)
        return next(found, None)

    def paper_value(self, title: str, column: Column) -> float | None:
        """The published figure, per cent."""
        if self.paper is None or title not in self.published:
            return None
        rows = published_ablations().get(self.paper, {})
        return rows.get(self.published[title], {}).get(column.name)

    @property
    def published_columns(self) -> tuple[Column, ...]:
        """Those in which the paper has a figure for a row."""
        return tuple(
            column
            for column in self.columns
            if any(self.paper_value(title, column) is not None for title in self.titles)
        )

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Each pair with a difference, once."""
        return tuple(dict.fromkeys((item.name, item.base) for item in self.differences))

    def change(self, pair: tuple[str, str], column: Column) -> Difference | None:
        """The difference of a pair in a column; None where there is none."""
        found = (d for d in self.differences if (d.name, d.base) == pair and d.column == column)
        return next(found, None)


def table_text(table: ExperimentTable) -> str:
    """The table for a terminal."""
    head, *rows = main_rows(table)
    blocks = [[head, *rows]]
    if changes := change_rows(table):
        blocks.append([["", *column_names(table)], *changes])
    blocks += measured_blocks(table.measured)
    lines = [table.heading, f"({where(table)})", ""]
    for block in blocks:
        lines += [f"  {line}" for line in _align(block)] + [""]
    lines += [f"  {line}" for line in decision_lines(table)]
    lines += [f"  {line}" for line in missing_lines(table)]
    lines += [f"  {note}" for note in table.notes]
    return "\n".join(lines).rstrip() + "\n"


def table_markdown(table: ExperimentTable) -> str:
    """The table for a page in Markdown, with each seed's figure in round brackets."""
    parts = [f"### {table.heading}", f"`{table.name}`, {where(table)}"]
    parts.append(_markdown(main_rows(table, with_seeds=True)))
    if changes := change_rows(table, with_seeds=True):
        parts.append(_markdown([["paired difference", *column_names(table)], *changes]))
    parts += map(_markdown, measured_blocks(table.measured))
    said = [
        *decision_lines(table),
        *missing_lines(table),
        *table.notes,
    ]
    if said:
        parts.append("\n".join(f"- {line}" for line in said))
    return "\n\n".join(parts) + "\n"


def main_rows(table: ExperimentTable, with_seeds: bool = False) -> list[list[str]]:
    """A head and a row per title; behind a column the published one where there is any."""
    head = [""]
    for column in table.columns:
        head.append(column_name(column))
        if column in table.published_columns:
            head.append("paper")
    rows = [head]
    for title in table.titles:
        row = [title]
        for column in table.columns:
            row.append(_summary(table.cell(title, column), with_seeds))
            if column in table.published_columns:
                value = table.paper_value(title, column)
                row.append("" if value is None else f"{value:.1f}")
        rows.append(row)
    return rows


def change_rows(table: ExperimentTable, with_seeds: bool = False) -> list[list[str]]:
    """A row per pair: difference, interval over classes and seeds, and what it decides."""
    return [
        [
            f"{pair[0]} - {pair[1]}",
            *(_change(table.change(pair, column), with_seeds) for column in table.columns),
        ]
        for pair in table.pairs
    ]


def decision_lines(table: ExperimentTable) -> list[str]:
    """What would decide each open difference, in sentences."""
    return [
        f"{item.name} - {item.base}, {column_name(item.column)}: {what_decides(item.decision)}"
        for item in table.differences
        if item.decision.answer == "open"
    ]


def missing_lines(table: ExperimentTable) -> list[str]:
    """What is not there, in sentences; rows that lack the same together."""
    titles: dict[str, list[str]] = {}
    for title, reason in table.missing.items():
        titles.setdefault(reason, []).append(title)
    return [f"{'; '.join(found)}: {reason}" for reason, found in titles.items()]


def what_decides(decision: Decision) -> str:
    """The numbers that would decide an open difference, in words."""
    if decision.needed is None:
        return "open: one seed says nothing of others; run more (--seeds 0,1,2)"
    needed, have = decision.needed, decision
    ways = []
    if needed.num_classes is not None:
        ways.append(f"{needed.num_classes} classes per seed in place of {have.num_classes}")
    if needed.num_seeds is not None:
        ways.append(f"{needed.num_seeds} seeds in place of {have.num_seeds}")
    if not ways:
        ways.append(f"{needed.factor:.1f} times as many classes and seeds")
    return f"open; {' or '.join(ways)} would decide, if it stays as it is"


def column_names(table: ExperimentTable) -> list[str]:
    """Headings of the columns of differences."""
    return [column_name(column) for column in table.columns]


def column_name(column: Column) -> str:
    """`closed unseen accuracy`."""
    return f"{column.setting} {column.side} {_MEASURES[column.measure, column.protocol]}"


def where(table: ExperimentTable) -> str:
    """What the runs were made on, in words."""
    seeds = sorted({seed for item in table.summaries for seed in item.seeds})
    on = table.setting or "embedded default"
    return f"{on}, seeds {', '.join(map(str, seeds)) or 'none yet'}"


def interval_text(interval: Interval, is_difference: bool) -> str:
    """`74.0 [65.3, 81.2]`."""
    word = points if is_difference else percent
    return f"{word(interval.value)} [{word(interval.low)}, {word(interval.high)}]"


def seeds_text(values: Sequence[float], is_difference: bool, deviation: float | None) -> str:
    """`(69.2 80.0 72.9; sd 5.5)`: a figure per seed, and how they deviate."""
    word = points if is_difference else percent
    spread = "" if deviation is None else f"; sd {percent(deviation)}"
    return f"({' '.join(word(value) for value in values)}{spread})"


def _summary(item: Summary | None, with_seeds: bool) -> str:
    if item is None:
        return "-"
    text = interval_text(item.pooled, False)
    return f"{text} {seeds_text(item.values, False, item.deviation)}" if with_seeds else text


def _change(item: Difference | None, with_seeds: bool) -> str:
    if item is None:
        return "-"
    text = f"{interval_text(item.decision.interval, True)} {item.decision.answer}"
    return f"{text} {seeds_text(item.differences, True, item.deviation)}" if with_seeds else text


def _align(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        "  ".join(
            [row[0].ljust(widths[0])]
            + [text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True)]
        ).rstrip()
        for row in rows
    ]


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines.insert(1, f"|{'---|' * len(rows[0])}")
    return "\n".join(lines)
