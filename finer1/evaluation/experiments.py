"""Several experiments, each over several seeds, side by side: means and paired differences."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import stdev

from finer1.evaluation.metrics import CELLS, Cell, classes, correct, select
from finer1.evaluation.statistics import Bootstrap, Interval, mean_interval, paired_values
from finer1.evaluation.verdicts import Verdict


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
    """Accuracy of one experiment in one cell."""

    name: str
    cell: Cell
    seeds: tuple[int, ...]
    accuracies: tuple[float, ...]
    """One per seed."""
    pooled: Interval
    """Mean over the seeds' questions, classes and seeds resampled."""

    @property
    def deviation(self) -> float | None:
        """Standard deviation over seeds, of the sample; None with one seed."""
        return _deviation(self.accuracies)


@dataclass(frozen=True)
class Difference:
    """Paired difference of two experiments in one cell; seed k is paired with seed k."""

    name: str
    base: str
    cell: Cell
    seeds: tuple[int, ...]
    differences: tuple[float, ...]
    """One per seed."""
    over_classes: Interval
    """Classes resampled, the trained seeds taken as given."""
    over_classes_and_seeds: Interval
    """Seeds resampled as well: what other training seeds may give."""

    @property
    def deviation(self) -> float | None:
        """Standard deviation over seeds, of the sample; None with one seed."""
        return _deviation(self.differences)


def summarise(runs: Sequence[ExperimentRun], bootstrap: Bootstrap) -> list[Summary]:
    """A summary per experiment and non-empty cell, experiments in order of first appearance."""
    summaries = []
    for name in dict.fromkeys(run.name for run in runs):
        mine = _by_seed(runs, name)
        for cell in CELLS:
            rows = _non_empty({seed: select(verdicts, cell) for seed, verdicts in mine.items()})
            if not rows:
                continue
            values = {seed: correct(rows[seed]) for seed in rows}
            summaries.append(
                Summary(
                    name,
                    cell,
                    tuple(rows),
                    tuple(sum(values[seed]) / len(values[seed]) for seed in rows),
                    _pooled(values, {seed: classes(rows[seed]) for seed in rows}, bootstrap, True),
                )
            )
    return summaries


def compare(
    runs: Sequence[ExperimentRun], pairs: Sequence[tuple[str, str]], bootstrap: Bootstrap
) -> list[Difference]:
    """The paired differences name - base over the seeds that both have.

    Raises ValueError when two experiments share no seed, or asked different questions.
    """
    differences = []
    for name, base in pairs:
        mine, other = _by_seed(runs, name), _by_seed(runs, base)
        seeds = tuple(seed for seed in mine if seed in other)
        if not seeds:
            raise ValueError(f"{name} and {base} have no seed in common; nothing can be paired")
        for cell in CELLS:
            rows = _non_empty({seed: select(mine[seed], cell) for seed in seeds})
            if not rows:
                continue
            values = {seed: _paired(rows[seed], select(other[seed], cell)) for seed in rows}
            names = {seed: classes(rows[seed]) for seed in rows}
            differences.append(
                Difference(
                    name,
                    base,
                    cell,
                    tuple(rows),
                    tuple(sum(values[seed]) / len(values[seed]) for seed in rows),
                    _pooled(values, names, bootstrap, False),
                    _pooled(values, names, bootstrap, True),
                )
            )
    return differences


def _deviation(values: Sequence[float]) -> float | None:
    return stdev(values) if len(values) > 1 else None


def _non_empty(rows: dict[int, list[Verdict]]) -> dict[int, list[Verdict]]:
    """The seeds that asked anything in a cell: which images a part has depends on the seed."""
    return {seed: found for seed, found in rows.items() if found}


def _by_seed(runs: Sequence[ExperimentRun], name: str) -> dict[int, tuple[Verdict, ...]]:
    mine = {run.seed: run.verdicts for run in runs if run.name == name}
    if not mine:
        raise ValueError(f"there is no run of {name}")
    return dict(sorted(mine.items()))


def _paired(rows: Sequence[Verdict], base: Sequence[Verdict]) -> list[float]:
    return paired_values(
        [row.question_id for row in rows],
        correct(rows),
        [row.question_id for row in base],
        correct(base),
    )


def _pooled(
    values: dict[int, list[float]],
    names: dict[int, list[str]],
    bootstrap: Bootstrap,
    resample_seeds: bool,
) -> Interval:
    flat = [value for seed in values for value in values[seed]]
    runs = [seed for seed in values for _ in values[seed]]
    flat_names = [name for seed in values for name in names[seed]]
    return mean_interval(flat, flat_names, bootstrap, runs if resample_seeds else None)
