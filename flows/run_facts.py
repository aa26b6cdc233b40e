"""What a project says of a model that it trained, as far as it is still true."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from finer1.params import Params, load_params

if TYPE_CHECKING:
    from finer1.export.card import Measured
    from finer1.export.results import Result

_TRAINING = {"tapo": "tapo", "sft": "sft"}
"""paths.<key> -> the stage that writes it."""
LIMITS = (
    "Shown something that it does not know, it names a sub-category all the same.",
    "The rationale need not be why it gives its answer.",
)


@dataclass(frozen=True)
class RunFacts:
    """Of the run in a project's folder, about one model."""

    params: Params
    measured: "Measured | None"
    by_dataset: "list[Result]"
    unmeasured: str
    """Why there are no results, or nothing on the training, where that is so."""
    audit: Sequence[tuple[str, str]]
    limits: Sequence[str]
    identity: Sequence[tuple[str, str]]


def read_run(here: Path, model: Path, weights: str) -> RunFacts | None:
    """What holds of the model at a path, whose content has the SHA-256 `weights`.

    None where `here` is no project. What a stage says that DVC would run again is left out.
    """
    if not ((here / "params.yaml").is_file() and (here / "dvc.yaml").is_file()):
        return None
    params = load_params(here / "params.yaml")
    stage = next(
        (s for key, s in _TRAINING.items() if _is_same(getattr(params.paths, key), model)), None
    )
    stale = stale_stages(here)
    audit: list[tuple[str, str]] = []
    limits = [*params.caveats(), *LIMITS]
    why = f"{model.name} is no model that a stage of this project trains"
    if stage is not None:
        why = f"the stage {stage} would run again: finer1 run"
        if stage not in stale:
            audit, warnings = _audit(params)
            limits = [*warnings, *limits]
    name = _scored_as(params, weights)
    measured: Measured | None = None
    rows: list[Result] = []
    if name is None:
        why = why if stage is None else "no predictions of these weights are here: finer1 run score"
    elif "score" in stale:
        why = "the scores are of an earlier state of this project: finer1 run score"
    else:
        measured, rows = _measure(params, name)
    identity = run_identity(here, params, stage, stale)
    return RunFacts(params, measured, rows, why, audit, limits, identity)


def stale_stages(here: Path) -> set[str]:
    """Stages that DVC would run again. Raises ValueError when it cannot read the project."""
    from flows.dag import changed_stages, load_stages, with_followers

    return with_followers(load_stages(here), changed_stages(here))


def run_identity(
    here: Path, params: Params, stage: str | None, stale: set[str]
) -> list[tuple[str, str]]:
    """(what, value): commit, dvc.lock, settings, seed, the stage's MLflow run. No place or host."""
    from finer1.files import sha256_file
    from finer1.report.page import hash_params

    found = [("commit", commit) for commit in _commit(here)]
    if (here / "dvc.lock").is_file():
        found.append(("dvc.lock (SHA-256)", sha256_file(here / "dvc.lock")))
    if stage is None or stage in stale:
        return found
    found += [("settings (SHA-256)", hash_params(params)), ("seed", str(params.seed))]
    return [*found, *_tracked(here, stage)]


def _tracked(here: Path, stage: str) -> list[tuple[str, str]]:
    """The MLflow run by its id alone: the address of a server is nobody's business."""
    from tasks.identity import locked_key
    from tasks.tracked import tracked_runs

    runs = tracked_runs([locked_key(stage, here)], here)
    return [(f"MLflow run of {stage}", run.rpartition("/")[2]) for run in runs.values()]


def _commit(here: Path) -> list[str]:
    git = ["git", "-C", str(here)]
    try:
        head, changes = (
            subprocess.run([*git, *words], capture_output=True, text=True, check=True).stdout
            for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        )
    except (FileNotFoundError, subprocess.CalledProcessError):  # no git, or no clone
        return []
    return [head.strip() + (" and changes" if changes.strip() else "")]


def _is_same(known: Path, model: Path) -> bool:
    return known.resolve() == model.resolve()


def _audit(params: Params) -> tuple[list[tuple[str, str]], list[str]]:
    from finer1.export.audit import audit_rows
    from finer1.records import Rationale, read_jsonl
    from finer1.report.page import teacher_warnings

    return audit_rows(params), teacher_warnings(read_jsonl(params.paths.reviewed, Rationale))


def _scored_as(params: Params, weights: str) -> str | None:
    """The name under which these weights have answered."""
    from finer1.evaluation.verdicts import MODELS

    for name in (*reversed(MODELS), *params.predict.models):
        path = params.paths.predictions / f"{name}.jsonl"
        if path.is_file():
            with path.open(encoding="utf-8") as rows:
                first = json.loads(rows.readline() or "{}")
            is_asked_so = first.get("strategy") == params.predict.strategy
            if weights in first.get("identity", "") and is_asked_so:
                return name
    return None


def _measure(params: Params, name: str) -> "tuple[Measured, list[Result]]":
    from finer1.export.card import Measured
    from finer1.export.results import model_index, read_results
    from finer1.report.inputs import read_inputs
    from finer1.report.protocol import describe_protocol

    inputs = read_inputs(params)
    confidence = inputs.metrics["confidence"]
    datasets = params.download.datasets
    rows = [row for one in datasets for row in read_results(inputs.metrics, name, one)]
    measured = Measured(
        rows=read_results(inputs.metrics, name),
        index=model_index(rows, params, confidence),
        protocol=describe_protocol(inputs),
        confidence=confidence,
        num_options=params.questions.num_options,
    )
    return measured, rows
