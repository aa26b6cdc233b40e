"""Several experiments, each over several seeds, side by side: means and paired differences."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import stdev
from typing import Literal, Self, cast

from finer1.evaluation.decision import Decision, decide_average
from finer1.evaluation.metrics import Side, classes, select
from finer1.evaluation.statistics import (
    Bootstrap,
    Interval,
    Part,
    average_interval,
    paired_values,
)
from finer1.evaluation.verdicts import Verdict
from finer1.records import Setting

Protocol = Literal["shuffled", "paper"]
"""Whose rules: this project's, or the released evaluator's."""

_MEASURES: dict[tuple[str, Protocol], Callable[[Verdict], float | None]] = {
    ("accuracy", "shuffled"): lambda row: float(row.is_correct),
    ("accuracy", "paper"): lambda row: float(row.is_correct_paper),
    ("similarity", "shuffled"): lambda row: row.similarity,
    ("similarity", "paper"): lambda row: row.similarity_paper,
}


@dataclass(frozen=True)
class Column:
    """A number of a table."""

    setting: Setting
    side: Side | Literal["average"]
    """average: the mean of both sides, equally weighted."""
    measure: Literal["accuracy", "similarity"]
    protocol: Protocol = "shuffled"

    @classmethod
    def parse(cls, text: str, protocol: Protocol = "shuffled") -> Self:
        """The column `<setting>/<side>/<measure>` of params.yaml, which has checked its words."""
        setting, side, measure = text.split("/")
        return cls(
            cast(Setting, setting),
            cast(Side, side),
            cast(Literal["accuracy", "similarity"], measure),
            protocol,
        )

    @property
    def name(self) -> str:
        """`closed/unseen/accuracy`."""
        return f"{self.setting}/{self.side}/{self.measure}"

    @property
    def sides(self) -> tuple["Column", ...]:
        """The columns that it is the mean of; itself alone but for an average."""
        if self.side != "average":
            return (self,)
        return replace(self, side="seen"), replace(self, side="unseen")


@dataclass(frozen=True)
class ExperimentRun:
    """One evaluated model of one experiment at one seed."""

    name: str
    """What the row of the table is called: `CoT SFT, 4 shots`."""
    seed: int
    verdicts: tuple[Verdict, ...]
    """Of that one model."""


@dataclass(frozen=True)
class Summary:
    """One row of a table in one column."""

    name: str
    column: Column
    seeds: tuple[int, ...]
    values: tuple[float, ...]
    """One per seed, shares."""
    pooled: Interval
    """Mean over the seeds' questions, classes and seeds resampled."""

    @property
    def deviation(self) -> float | None:
        """Standard deviation over seeds, of the sample; None with one seed."""
        return _deviation(self.values)


@dataclass(frozen=True)
class Difference:
    """Paired difference of two rows in one column; seed k is paired with seed k."""

    name: str
    base: str
    column: Column
    seeds: tuple[int, ...]
    differences: tuple[float, ...]
    """One per seed."""
    decision: Decision
    """With the interval over classes and seeds: what other training seeds may give."""

    @property
    def deviation(self) -> float | None:
        """Standard deviation over seeds, of the sample; None with one seed."""
        return _deviation(self.differences)


def summarise(
    runs: Sequence[ExperimentRun], columns: Sequence[Column], bootstrap: Bootstrap
) -> list[Summary]:
    """A summary per row and column that has values, rows in order of first appearance."""
    summaries = []
    for name in dict.fromkeys(run.name for run in runs):
        mine = _by_seed(runs, name)
        for column in columns:
            seeds = _seeds_with(column, mine)
            if not seeds:
                continue
            parts = [_part(side, {seed: mine[seed] for seed in seeds}) for side in column.sides]
            pooled = average_interval(parts, bootstrap)
            summaries.append(Summary(name, column, seeds, _per_seed(parts, seeds), pooled))
    return summaries


def compare(
    runs: Sequence[ExperimentRun],
    pairs: Sequence[tuple[str, str]],
    columns: Sequence[Column],
    bootstrap: Bootstrap,
    margin: float,
) -> list[Difference]:
    """The paired differences name - base over the seeds that both have, per column with values.

    margin: share below which a difference counts as none. Raises ValueError when two rows share no
    seed, or asked different questions.
    """
    differences = []
    for name, base in pairs:
        mine, other = _by_seed(runs, name), _by_seed(runs, base)
        common = {seed: mine[seed] for seed in mine if seed in other}
        if not common:
            raise ValueError(f"{name} and {base} have no seed in common; nothing can be paired")
        for column in columns:
            seeds = tuple(s for s in _seeds_with(column, common) if s in _seeds_with(column, other))
            if not seeds:
                continue
            parts = [
                _paired_part(side, {seed: (mine[seed], other[seed]) for seed in seeds})
                for side in column.sides
            ]
            differences.append(
                Difference(
                    name,
                    base,
                    column,
                    seeds,
                    _per_seed(parts, seeds),
                    decide_average(parts, bootstrap, margin),
                )
            )
    return differences


def _deviation(values: Sequence[float]) -> float | None:
    return stdev(values) if len(values) > 1 else None


def _by_seed(runs: Sequence[ExperimentRun], name: str) -> dict[int, tuple[Verdict, ...]]:
    mine = {run.seed: run.verdicts for run in runs if run.name == name}
    if not mine:
        raise ValueError(f"there is no run of {name}")
    return dict(sorted(mine.items()))


def _seeds_with(column: Column, mine: dict[int, tuple[Verdict, ...]]) -> tuple[int, ...]:
    """The seeds that asked anything on every side: which images a part has depends on the seed."""
    return tuple(
        seed
        for seed, verdicts in mine.items()
        if all(_rows(side, verdicts) for side in column.sides)
    )


def _rows(column: Column, verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts of a single side that have the column's value."""
    assert column.side != "average"
    rows = select(verdicts, (column.setting, column.side))
    return [row for row in rows if _value(column, row) is not None]


def _value(column: Column, row: Verdict) -> float | None:
    return _MEASURES[column.measure, column.protocol](row)


def _values(column: Column, rows: Sequence[Verdict]) -> list[float]:
    return [value for row in rows if (value := _value(column, row)) is not None]


def _part(column: Column, by_seed: dict[int, tuple[Verdict, ...]]) -> Part:
    rows = {seed: _rows(column, verdicts) for seed, verdicts in by_seed.items()}
    return Part(
        [value for seed in rows for value in _values(column, rows[seed])],
        [name for seed in rows for name in classes(rows[seed])],
        [seed for seed in rows for _ in rows[seed]],
    )


def _paired_part(
    column: Column, by_seed: dict[int, tuple[tuple[Verdict, ...], tuple[Verdict, ...]]]
) -> Part:
    values, names, seeds = [], [], []
    for seed, (verdicts, base_verdicts) in by_seed.items():
        rows, base = _rows(column, verdicts), _rows(column, base_verdicts)
        values += paired_values(
            [row.question_id for row in rows],
            _values(column, rows),
            [row.question_id for row in base],
            _values(column, base),
        )
        names += classes(rows)
        seeds += [seed] * len(rows)
    return Part(values, names, seeds)


def _per_seed(parts: Sequence[Part], seeds: Sequence[int]) -> tuple[float, ...]:
    """Mean over parts of each part's mean at each seed."""
    found = []
    for seed in seeds:
        means = []
        for part in parts:
            mine = [v for v, run in zip(part.values, part.runs, strict=True) if run == seed]
            means.append(sum(mine) / len(mine))
        found.append(sum(means) / len(means))
    return tuple(found)
