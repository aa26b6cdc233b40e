"""What a single experiment has beyond its accuracies: Table 4, and the report of each run."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from finer1.files import write_atomic
from finer1.paths import Paths
from finer1.report.experiment_table import ExperimentTable
from finer1.report.measured import read_measured
from flows.dag import experiment_revisions, experiment_texts
from flows.plan import Trial
from flows.trials import Found


def with_own_figures(
    table: ExperimentTable,
    trials: Sequence[Trial],
    found: Mapping[str, Found],
    paths: Paths,
    root: Path,
) -> ExperimentTable:
    """The table with the hidden states' figures of each of its runs that is there."""
    there = [trial for trial in trials if found[trial.name].revision is not None]
    revisions = [str(found[trial.name].revision) for trial in there]
    texts = experiment_texts(root, revisions, paths.results)
    return replace(
        table,
        measured=tuple(
            item
            for trial, text in zip(there, texts, strict=True)
            for item in read_measured(text, trial.seed)
        ),
        reports=tuple(f"{trial.name}.html" for trial in there),
    )


def write_reports(
    tables: Sequence[ExperimentTable], paths: Paths, root: Path, folder: Path
) -> list[Path]:
    """Put the report of each single run into `folder`; returns where."""
    names = {name for table in tables for name in table.reports}
    revisions = experiment_revisions(root, {Path(name).stem for name in names})
    written = [folder / name for name in sorted(names) if Path(name).stem in revisions]
    texts = experiment_texts(root, [revisions[path.stem] for path in written], paths.report)
    for path, text in zip(written, texts, strict=True):
        write_atomic(path, text.encode())
    return written
