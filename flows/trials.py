"""One run of an experiment at one seed, `dvc exp run --temp`, and the record of finished ones.

A record says with which parameters, code and inputs a run was made. One whose inputs are the same
now is not made again.
"""

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from finer1.files import write_json
from finer1.params import with_differences
from flows.dag import experiment_revisions, experiment_texts
from flows.plan import Trial
from flows.processes import stream
from flows.runner import failure
from flows.workspace import exit_file
from tasks.identity import all_entries, dvc_md5
from tasks.tracking import start_pipeline_run

State = Literal["done", "stale", "missing"]
"""stale: made with other parameters, code or inputs than there are now."""

_RECORDS = Path(".dvc/tmp/finer1/trials")
_NEW = "-new"
"""Ends the name of a run until it has ended well."""
_LINES_SHOWN = 15
_PASSING = ("Unable to acquire lock", "conflicts with existing experiment")
"""What DVC says of other processes of its own, or of a run whose end it could not note for them."""
_LOCK_TRIES, _LOCK_PAUSE_S = 20, 3.0
_NOT_READ = ("runtime", "experiments", "comparison")
"""Sections that change no result of a run."""
_LARGE_BYTES = 64 * 2**20
"""Files above it, weights, are known by size and time of change."""


@dataclass(frozen=True)
class Project:
    """What all runs of a call share."""

    root: Path
    values: Mapping[str, Any]
    """Content of params.yaml."""
    graph: Mapping[str, Any]
    """`stages` of dvc.yaml."""


@dataclass(frozen=True)
class Found:
    """What there is of a run."""

    state: State
    revision: str | None
    """Commit of the DVC experiment; None when there is none."""


def find_trials(
    trials: tuple[Trial, ...], project: Project, is_elsewhere: bool = False
) -> dict[str, Found]:
    """Name of each run -> what there is of it.

    is_elsewhere: the data and the base need not be here; the recorded ones count.
    """
    revisions = experiment_revisions(project.root, {trial.name for trial in trials})
    found = {}
    for trial in trials:
        revision = revisions.get(trial.name)
        record = _read_record(trial, project.root)
        state: State = "missing" if revision is None else "stale"
        if record and record["revision"] == revision:
            differences = {**trial.differences, **(record["extra"] if is_elsewhere else {})}
            if record["fingerprint"] == fingerprint(differences, project):
                state = "done"
        found[trial.name] = Found(state, revision)
    return found


def fingerprint(differences: Mapping[str, object], project: Project) -> str:
    """SHA-256 over what a run follows from: parameters, and what the stages read of the project."""
    values = trial_values(differences, project)
    entries = all_entries(dict(project.graph), values)
    made = {str(path) for entry in entries.values() for path in _outs(entry)}
    read = {str(path) for entry in entries.values() for path in entry.get("deps", [])} - made
    content = {
        "params": {k: v for k, v in values.items() if k not in _NOT_READ},
        "commands": {name: entry.get("cmd") for name, entry in entries.items()},
        "files": {path: _content(project.root / path) for path in sorted(read)},
    }
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def trial_values(differences: Mapping[str, object], project: Project) -> dict[str, Any]:
    """Content of params.yaml as a run has it."""
    return dict(with_differences(dict(project.values), differences))


def run_trial(trial: Trial, project: Project, environ: Mapping[str, str], parent: str) -> int:
    """Make the run, track it below the run `parent`, record it; returns its exit code."""
    root = project.root
    # Before the run, so that what is changed meanwhile makes it stale.
    inputs = fingerprint(trial.differences, project)
    tracker = start_pipeline_run(trial.name, trial.differences, root, {}, parent)
    own = {
        **environ,
        "FINER1_PARENT_RUN": tracker.key,
        "FINER1_RESUME": str(root / "models/.resume" / trial.name),
        "FINER1_EXIT_FILE": str(exit_file(root, trial.name).absolute()),
    }
    code, metrics = 1, {}
    try:
        code = _run(trial, project, own)
        if not code:
            revision = experiment_revisions(root, {trial.name})[trial.name]
            path = Path(str(project.values["paths"]["metrics"])) / "score.json"
            (text,) = experiment_texts(root, [revision], path)
            metrics = json.loads(text)
            record = {"fingerprint": inputs, "revision": revision, "extra": dict(trial.extra)}
            write_json(_record_path(trial, root), record)
    finally:
        tracker.finish(metrics, "FAILED" if code else "FINISHED")
    return code


def overrides(differences: Mapping[str, object], values: Mapping[str, Any]) -> list[str]:
    """The differences in Hydra's grammar: with_differences, on `values`, by other means.

    Hydra merges a mapping into the one that is there, which therefore goes first.
    """
    words = []
    for key, value in differences.items():
        if isinstance(value, dict) and _has(values, key):
            words.append(f"~{key}")
        words.append(f"++{key}={hydra_value(value)}")  # A mapping's entry may be new.
    return words


def _has(values: Any, key: str) -> bool:
    for part in key.split("."):
        if part not in values:
            return False
        values = values[part]
    return True


def _run(trial: Trial, project: Project, environ: Mapping[str, str]) -> int:
    root = project.root
    settings = [
        word for item in overrides(trial.differences, project.values) for word in ("-S", item)
    ]
    code_file = exit_file(root, trial.name)
    code_file.unlink(missing_ok=True)
    log = root / "logs" / f"{trial.name}.log"
    log.parent.mkdir(exist_ok=True)
    start = time.monotonic()
    # The run of that name from before stays until this one has ended well.
    new, names_log = f"{trial.name}{_NEW}", log.with_suffix(".names.log")
    command = ["exp", "run", "--temp", "--name", new, *settings]
    for _ in range(_LOCK_TRIES):
        _run_dvc(["exp", "remove", new], root, environ, names_log)
        code = _run_dvc(command, root, environ, log)
        said = log.read_text(encoding="utf-8")
        if not code or not any(words in said for words in _PASSING):
            break
        time.sleep(_LOCK_PAUSE_S)
    if not code:
        _run_dvc(["exp", "remove", trial.name], root, environ, names_log)
        code = _run_dvc(["exp", "rename", new, trial.name], root, environ, names_log)
        said += names_log.read_text(encoding="utf-8") if code else ""
    lines: list[str] = []
    outcome = f"{said.count('Running stage')} stages ran, {said.count('is cached')} from cache"
    if code:
        lines = said.splitlines()[-_LINES_SHOWN:]
        code, reason = failure(code_file, lines)
        outcome = f"{reason} (exit code {code}); all of its output: {log.relative_to(root)}"
    print(f"  {trial.name:<28}{time.monotonic() - start:>7.0f} s  {outcome}", flush=True)
    print("".join(f"    {line}\n" for line in lines), end="")
    return code


def _run_dvc(words: list[str], root: Path, environ: Mapping[str, str], log: Path) -> int:
    """Exit code of a DVC command, whose output is all of the log."""
    with log.open("w", encoding="utf-8") as file:
        return stream(
            [sys.executable, "-m", "dvc", *words],
            root,
            environ,
            lambda line: print(line, file=file, flush=True),
        )


def hydra_value(value: object) -> str:
    """A value in Hydra's override grammar: JSON, but for the quotes around the keys of mappings."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {hydra_value(item)}' for key, item in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(hydra_value, value))}]"
    return json.dumps(value)


def check_git(root: Path) -> None:
    """DVC experiments hang on a commit and see only what git tracks.

    Raises ValueError without a commit; prints what git does not track.
    """
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


def is_tracked(root: Path, path: Path) -> bool:
    """Whether git has something at a path of the project."""
    found = subprocess.run(
        ["git", "-C", str(root), "ls-files", "--", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    # It fails for a path outside the project.
    return not found.returncode and bool(found.stdout)


def _record_path(trial: Trial, root: Path) -> Path:
    return root / _RECORDS / f"{trial.name}.json"


def _read_record(trial: Trial, root: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads(_record_path(trial, root).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def _outs(entry: Mapping[str, Any]) -> list[str]:
    """Paths that a stage makes, and the folders that they are in, where these are inputs."""
    items = [*entry.get("outs", []), *entry.get("metrics", [])]
    paths = [next(iter(item)) if isinstance(item, dict) else item for item in items]
    return [*paths, *(str(Path(path).parent) for path in paths)]


def _content(path: Path) -> str | None:
    """What a file or folder holds; None when there is none."""
    if path.is_dir():
        files = sorted(item for item in path.rglob("*") if item.is_file())
        parts = [f"{item.relative_to(path)} {_content(item)}" for item in files]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()
    if not path.is_file():
        return None
    known = path.stat()
    if known.st_size > _LARGE_BYTES:
        return f"{known.st_size} {known.st_mtime_ns}"
    return _read_once(path, known.st_size, known.st_mtime_ns)


@cache
def _read_once(path: Path, size: int, time_ns: int) -> str:
    """Hash of a file, which all runs of a call ask for, as it was at that time."""
    return dvc_md5(path)
