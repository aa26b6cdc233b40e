"""Entries of params.yaml's `experiments` as DVC experiments, side by side.

    python -m flows.experiments NAME... [--on SETTING] [--seeds 0,1,2] [--jobs 2] [--root DIR]

Each run is `dvc exp run --temp`: it works in a copy of what git tracks, shares DVC's cache and
the generation store, and leaves the folder as it is. Runs that are done with the same inputs are
not made again. `finer1 compare`, `dvc exp show` and MLflow list them after.
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from finer1.evaluation.experiments import Protocol
from finer1.experiment_params import ExperimentGroup
from finer1.inspection.findings import shown_lines
from finer1.params import Params, check_params, load_values
from flows.comparing import build_tables, keep_tables, print_tables
from flows.listing import list_experiments
from flows.many_trials import How, run_trials
from flows.plan import Plan, goes_with, plan_experiments
from flows.processes import as_typed, stage_environment
from flows.trials import Project, check_git, is_tracked
from flows.values import data_differences
from flows.weights import lacks, local_base, missing_weights
from flows.workspace import hold, repair
from tasks.exit_codes import BAD_INPUT, MACHINE
from tasks.tracking import Status, start_pipeline_run, tracking_uri


@dataclass(frozen=True)
class Chosen:
    """Which experiments, and how."""

    names: tuple[str, ...]
    setting: str | None = None
    """What comes first: a full-scale setting."""
    seeds: tuple[int, ...] | None = None
    """Instead of the groups' own."""


def run_experiments(chosen: Chosen, how: How, root: Path) -> int:
    """Run what the chosen experiments need, print the tables; returns the largest exit code.

    Raises ValueError for an unknown experiment, a wrong value, weights that are not there, or a
    folder without a commit.
    """
    project = load_project(root)
    check_git(root)
    data_root = how.data_root.resolve() if how.data_root else None
    plan = _plan(chosen, project, _needed(data_root, root))
    for group in plan.groups:
        for title, reason in group.left_out.items():
            print(f"left out: {title} of {group.name}: {reason}")
    with nullcontext() if "FINER1_HELD" in os.environ else hold(root):
        for sentence in repair(root):
            print(f"repaired: {sentence}")
        names = "-".join((*((plan.setting,) if plan.setting else ()), *chosen.names))
        tags = {"experiments": ", ".join(chosen.names), "setting": plan.setting or ""}
        tracker = start_pipeline_run(names, tags, root, {})
        status: Status = "FAILED"
        try:
            code = run_trials(plan, project, _environment(root, data_root), tracker.key, how)
            if not code:
                for path in _show(plan, project):
                    tracker.log_file(path)
                status = "FINISHED"
        finally:
            tracker.finish({}, status)
    return code


def compare_experiments(
    chosen: Chosen,
    protocol: Protocol,
    json: Path | None,
    csv: Path | None,
    root: Path,
) -> None:
    """Print the tables of the runs that are there; of all groups that have any without names.

    Raises ValueError for an unknown experiment, and when there is no run.
    """
    project = load_project(root)
    params = check_params(dict(project.values), "params.yaml")
    names = chosen.names or tuple(
        name
        for name, entry in params.experiments.items()
        if isinstance(entry, ExperimentGroup)
        and goes_with(params.experiments, entry, chosen.setting)
    )
    values, asked = dict(project.values), partial(is_tracked, root)
    # Rows whose needs are not met stay: they may have been run elsewhere, or before.
    plan = plan_experiments(values, names, chosen.seeds, lambda params: {}, asked, chosen.setting)
    tables = build_tables(plan, project, protocol)
    shown = [table for table in tables if chosen.names or table.summaries]
    if not any(table.summaries for table in shown):
        names_typed = " ".join(chosen.names) or "NAME"
        raise ValueError(f"no run of it yet; make some: finer1 experiments {names_typed}")
    print_tables(shown, json, csv)
    *_, page = keep_tables(shown, params, root)
    print(f"page      {page}")


def print_experiments(root: Path) -> None:
    """Print the list of experiments."""
    project = load_project(root)
    print(list_experiments(dict(project.values), project.graph))


def load_project(root: Path) -> Project:
    """Parameters and graph of the project in a folder. Raises ValueError when there is none."""
    if not (root / "dvc.yaml").exists():
        raise ValueError(f"{root} has no dvc.yaml; change to the project's folder")
    values, graph = load_values(root / "params.yaml"), load_values(root / "dvc.yaml")
    return Project(root, values, graph["stages"])


def data_of_trials(data_root: Path | None, home: Path) -> Callable[[Params], dict[str, object]]:
    """data_differences of a trial; trials that read the same folders hash them once."""
    known: dict[tuple[object, ...], dict[str, object]] = {}

    def differences(params: Params) -> dict[str, object]:
        asked, paths = params.download, params.paths
        official = (asked.official(name) for name in asked.datasets)
        sources = tuple(item and item.source for item in official)
        key = (asked.datasets, sources, asked.content, paths.raw, paths.own)
        if key not in known:
            known[key] = data_differences(data_root, params, home)
        return known[key]

    return differences


def parse_seeds(text: str | None) -> tuple[int, ...] | None:
    """`0,1,2` as numbers; None stays None. Raises ValueError for anything else."""
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"--seeds {text}: write numbers with commas, as in 0,1,2") from None


def _plan(chosen: Chosen, project: Project, data: Callable[[Params], Mapping[str, object]]) -> Plan:
    return plan_experiments(
        dict(project.values),
        chosen.names,
        chosen.seeds,
        data,
        partial(is_tracked, project.root),
        chosen.setting,
        lambda need, params: lacks(need, params, project.root),
    )


def _needed(data_root: Path | None, root: Path) -> Callable[[Params], dict[str, object]]:
    """The differences that data and base of a run need.

    Raises ValueError for weights or folders that are not there.
    """
    data, tracked = data_of_trials(data_root, root), partial(is_tracked, root)

    def differences(params: Params) -> dict[str, object]:
        missing = missing_weights(params, root, tracked)
        if missing:
            raise ValueError("\n".join(missing))
        return {**data(params), **local_base(params, root, tracked)}

    return differences


def _show(plan: Plan, project: Project) -> list[Path]:
    """Print and keep the tables; returns the paths of the files."""
    params = check_params(dict(project.values), "params.yaml")
    tables = build_tables(plan, project, "shuffled")
    print_tables(tables)
    *paths, page = keep_tables(tables, params, project.root)
    names = " ".join(group.name for group in plan.groups)
    on = f" --on {plan.setting}" if plan.setting else ""
    words = {".md": "table", ".html": "report"}
    print("".join(f"{words[path.suffix]:<10}{path}\n" for path in paths) + f"page      {page}")
    print(f"compare   {as_typed(f'finer1 compare {names}{on}', project.root)}")
    return [*paths, page]


def _environment(root: Path, data_root: Path | None) -> dict[str, str]:
    """Absolute places, since a run works in another folder."""
    environ = {
        "FINER1_HOME": str(root.absolute()),
        "FINER1_STORE": str(root / "models/.generations"),
        **stage_environment(),
        "MLFLOW_TRACKING_URI": tracking_uri(root),
    }
    if data_root:
        environ["FINER1_DATA_ROOT"] = str(data_root)
    return environ


def main(arguments: list[str]) -> int:
    """Parse the command line and run; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m flows.experiments",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="none lists them")
    parser.add_argument("--on", metavar="SETTING", help="a full-scale setting, which comes first")
    parser.add_argument("--seeds", metavar="0,1,2", help="instead of the experiment's own")
    parser.add_argument("--root", metavar="DIR", default=os.environ.get("FINER1_DATA_ROOT"))
    parser.add_argument("--jobs", type=int, default=1, help="runs at once")
    parser.add_argument("--ray", action="store_true", help="on a Ray cluster (RAY_ADDRESS, or own)")
    parser.add_argument("--again", action="store_true", help="also runs that are done")
    options: Any = parser.parse_args(arguments)
    try:
        if not options.names:
            print_experiments(Path.cwd())
            return 0
        chosen = Chosen(tuple(options.names), options.on, parse_seeds(options.seeds))
        data_root = Path(options.root) if options.root else None
        how = How(data_root, options.jobs, options.again, options.ray)
        return run_experiments(chosen, how, Path.cwd())
    except (ValueError, OSError) as error:
        print(f"experiments: {shown_lines(error)}", file=sys.stderr)
        return BAD_INPUT if isinstance(error, ValueError) else MACHINE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
