"""Entries of params.yaml's `experiments` as DVC experiments, side by side.

    python -m flows.experiments NAME... [--seeds 0,1,2] [--jobs 2] [--root DIR]

Each run is `dvc exp run --temp`: it works in a copy of what git tracks, shares DVC's cache and
the generation store, and leaves the folder as it is. `dvc exp show` and MLflow list them after.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from finer1.evaluation.experiments import ExperimentRun, compare, summarise
from finer1.evaluation.statistics import Bootstrap
from finer1.evaluation.verdicts import Verdict
from finer1.files import write_atomic
from finer1.params import ExperimentGroup, Params, check_params, load_values
from finer1.records import read_jsonl
from finer1.report.table import experiment_table
from flows.dag import experiment_text
from flows.plan import Plan, Trial, plan_experiments
from flows.processes import as_typed, stage_environment, stream
from flows.runner import failure
from flows.values import data_differences
from flows.workspace import exit_file, hold, repair
from tasks.exit_codes import BAD_INPUT, MACHINE
from tasks.tracking import start_pipeline_run, tracking_uri

_LINES_SHOWN = 15


def run_experiments(
    names: Sequence[str], seeds: Sequence[int] | None, data_root: Path | None, jobs: int, root: Path
) -> int:
    """Run what `names` needs, print the table; returns the largest exit code.

    Raises ValueError for an unknown experiment, a wrong value, or a folder without a commit.
    """
    data_root = data_root.resolve() if data_root else None
    values = load_values(root / "params.yaml")
    _check_git(root)
    plan = plan_experiments(
        values, names, seeds, data_of_trials(data_root, root), partial(_is_tracked, root)
    )
    params = check_params(values, "params.yaml")
    with hold(root):
        for sentence in repair(root):
            print(f"repaired: {sentence}")
        tracker = start_pipeline_run("-".join(names), {"experiments": ", ".join(names)}, root, {})
        environ = _environment(root, data_root, tracker.run_id() or "")
        status = "FAILED"
        try:
            code = _run_trials(plan.trials, root, environ, jobs)
            if not code:
                table = _table(plan, params, root)
                path = root / "data/experiments" / f"{'-'.join(names)}.md"
                write_atomic(path, table.encode())
                tracker.log_file(path)
                status = "FINISHED"
                compare_command = as_typed("dvc exp show", root)
                print(f"\n{table}\ntable     {path}\ncompare   {compare_command}")
        finally:
            tracker.finish({}, "FINISHED" if status == "FINISHED" else "FAILED")
    return code


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


def list_experiments(root: Path) -> None:
    """Print every experiment with its differences."""
    params = check_params(load_values(root / "params.yaml"), "params.yaml")
    for name, entry in params.experiments.items():
        if isinstance(entry, ExperimentGroup):
            seeds = ", ".join(map(str, entry.seeds))
            print(f"{name}: group, seeds {seeds}: {'; '.join(entry.rows)}")
        else:
            print(f"{name}: {', '.join(f'{k}={json.dumps(v)}' for k, v in entry.items())}")


def parse_seeds(text: str | None) -> list[int] | None:
    """`0,1,2` as numbers; None stays None. Raises ValueError for anything else."""
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"--seeds {text}: write numbers with commas, as in 0,1,2") from None


def _run_trials(trials: Sequence[Trial], root: Path, environ: Mapping[str, str], jobs: int) -> int:
    """The largest exit code."""
    print(f"{len(trials)} runs, {jobs} at a time")
    with ThreadPoolExecutor(jobs) as pool:
        return max(pool.map(lambda trial: _run_trial(trial, root, environ), trials))


def _run_trial(trial: Trial, root: Path, environ: Mapping[str, str]) -> int:
    settings = [
        word
        for key, value in trial.differences.items()
        for word in ("-S", f"++{key}={_hydra(value)}")  # A mapping's entry may be new.
    ]
    command = ["exp", "run", "--temp", "--name", trial.name, *settings]
    code_file = exit_file(root, trial.name)
    code_file.unlink(missing_ok=True)
    own = {
        **environ,
        "FINER1_RESUME": str(root / "models/.resume" / trial.name),
        "FINER1_EXIT_FILE": str(code_file.absolute()),
    }
    dvc = [sys.executable, "-m", "dvc"]
    # A run of that name may exist from before; DVC would refuse to make it again.
    stream([*dvc, "exp", "remove", trial.name], root, own, lambda line: None)
    log = root / "logs" / f"{trial.name}.log"
    log.parent.mkdir(exist_ok=True)
    start = time.monotonic()
    with log.open("w", encoding="utf-8") as file:
        code = stream([*dvc, *command], root, own, lambda line: print(line, file=file, flush=True))
    outcome, lines = "done", []
    if code:
        lines = log.read_text(encoding="utf-8").splitlines()[-_LINES_SHOWN:]
        code, reason = failure(code_file, lines)
        outcome = f"{reason} (exit code {code}); all of its output: {log.relative_to(root)}"
    print(f"  {trial.name:<28}{time.monotonic() - start:>7.0f} s  {outcome}", flush=True)
    print("".join(f"    {line}\n" for line in lines), end="")
    return code


def _environment(root: Path, data_root: Path | None, parent: str) -> dict[str, str]:
    """Absolute places, since a run works in another folder."""
    environ = {
        "FINER1_HOME": str(root.absolute()),
        "FINER1_STORE": str(root / "models/.generations"),
        "MLFLOW_TRACKING_URI": tracking_uri(root),
        **stage_environment(),
        "FINER1_PARENT_RUN": parent,
    }
    if data_root:
        environ["FINER1_DATA_ROOT"] = str(data_root)
    return environ


def _table(plan: Plan, params: Params, root: Path) -> str:
    verdicts = {
        (trial.experiment, trial.seed): _verdicts(trial.name, params.paths.verdicts, root)
        for trial in plan.trials
    }
    runs = [
        ExperimentRun(title, seed, tuple(row for row in rows if row.model == model))
        for title, (wanted, model) in plan.rows.items()
        for (experiment, seed), rows in verdicts.items()
        if experiment == wanted
    ]
    bootstrap = Bootstrap(params.score.bootstrap_samples, params.score.confidence, params.seed)
    return experiment_table(summarise(runs, bootstrap), compare(runs, plan.pairs, bootstrap))


def _verdicts(experiment: str, path: Path, root: Path) -> list[Verdict]:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / f"{experiment}.jsonl"
        copy.write_text(experiment_text(root, experiment, path), encoding="utf-8")
        return read_jsonl(copy, Verdict)


def _hydra(value: object) -> str:
    """A value in Hydra's override grammar: JSON, but for the quotes around the keys of mappings."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_hydra(item)}' for key, item in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_hydra, value))}]"
    return json.dumps(value)


def _check_git(root: Path) -> None:
    """DVC experiments hang on a commit and see only what git tracks."""
    git = ["git", "-C", str(root)]
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, check=False)
    if head.returncode:
        raise ValueError(f"{root} has no git commit; DVC experiments start from one")
    command = [*git, "ls-files", "--others", "--exclude-standard"]
    new = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")
    if any(new):
        print(
            f"not in git, and so not in the experiments: {', '.join(name for name in new if name)}"
        )


def _is_tracked(root: Path, path: Path) -> bool:
    found = subprocess.run(
        ["git", "-C", str(root), "ls-files", "--", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    # It fails for a path outside the project.
    return not found.returncode and bool(found.stdout)


def main(arguments: list[str]) -> int:
    """Parse the command line and run; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m flows.experiments",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="none lists them")
    parser.add_argument("--seeds", metavar="0,1,2", help="instead of the experiment's own")
    parser.add_argument("--root", metavar="DIR", default=os.environ.get("FINER1_DATA_ROOT"))
    parser.add_argument("--jobs", type=int, default=1, help="runs at once")
    options = parser.parse_args(arguments)
    if not options.names:
        list_experiments(Path.cwd())
        return 0
    data_root = Path(options.root) if options.root else None
    try:
        return run_experiments(
            options.names, parse_seeds(options.seeds), data_root, options.jobs, Path.cwd()
        )
    except (ValueError, OSError) as error:
        print(f"experiments: {error}", file=sys.stderr)
        return BAD_INPUT if isinstance(error, ValueError) else MACHINE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
