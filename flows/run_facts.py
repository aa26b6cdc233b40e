"""What a project says of a model that it trained, as far as it is still true."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from finer1.params import Params, load_params

if TYPE_CHECKING:
    from finer1.export.card import Measured
    from finer1.export.results import Result

Stage = Literal["sft", "tapo"]
_TRAINING: tuple[Stage, ...] = ("tapo", "sft")
"""The stages that write a model, each to the path of its name."""
_STAGE_TWO = "Stage 2, TAPO"
"""Its heading in the protocol."""
_UNTRAINED = ("Images",)
"""Headings that hold of a model that the run did not train, besides how it was measured."""
LIMITS = (
    "Shown something that it does not know, it names a sub-category all the same.",
    "The rationale need not be why it gives its answer.",
)


@dataclass(frozen=True)
class RunFacts:
    """Of the run in a project's folder, about one model."""

    params: Params
    stage: Stage | None
    """The stage that trained these very weights by these parameters; None where none did."""
    measured: "Measured | None"
    by_dataset: "list[Result]"
    unmeasured: str
    """Why there are no results, where there are none."""
    untold: str
    """Why nothing is told of the training, where that is so."""
    audit: Sequence[tuple[str, str]]
    limits: Sequence[str]
    identity: Sequence[tuple[str, str]]


def read_run(here: Path, model: Path, weights: str) -> RunFacts | None:
    """What holds of the model at a path, whose content has the SHA-256 `weights`.

    None where `here` is no project. What a stage says that DVC would run again is left out, and
    of a model that no stage trained only results are told.
    """
    if not ((here / "params.yaml").is_file() and (here / "dvc.yaml").is_file()):
        return None
    params = load_params(here / "params.yaml")
    stale = stale_stages(here)
    name = _scored_as(params, weights)
    is_scored = name is not None and "score" not in stale
    written = next((s for s in _TRAINING if _is_same(getattr(params.paths, s), model)), None)
    stage = written if written not in stale else None
    if stage is None and is_scored:  # a copy of the model elsewhere
        stage = next((s for s in _TRAINING if s == name), None)
    untold = f"{model.name} is no model that a stage of this project trains"
    if written is not None:
        untold = f"the stage {written} would run again"
    unmeasured = "no predictions of these weights are here"
    measured: Measured | None = None
    rows: list[Result] = []
    if name is not None:
        unmeasured = "the scores are of an earlier state of this project"
    if name is not None and is_scored:
        measured, rows = _measure(params, name, stage)
    limits = [*(params.caveats() if stage or measured else ()), *LIMITS]
    audit: list[tuple[str, str]] = []
    if stage is not None:
        audit, warnings = _audit(params, stage)
        limits = [*warnings, *limits]
    identity = run_identity(here, params, stage) if stage else []
    return RunFacts(params, stage, measured, rows, unmeasured, untold, audit, limits, identity)


def stale_stages(here: Path) -> set[str]:
    """Stages that DVC would run again. Raises ValueError when it cannot read the project."""
    from flows.dag import changed_stages, load_stages, with_followers

    return with_followers(load_stages(here), changed_stages(here))


def run_identity(here: Path, params: Params, stage: str) -> list[tuple[str, str]]:
    """(what, value): commit, dvc.lock, settings, seed, the stage's MLflow run. No place or host.

    stage: one that DVC would not run again.
    """
    from finer1.files import sha256_file
    from finer1.report.page import hash_params

    found = [("commit", commit) for commit in _commit(here)]
    if (here / "dvc.lock").is_file():
        found.append(("dvc.lock (SHA-256)", sha256_file(here / "dvc.lock")))
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


def _audit(params: Params, stage: Stage) -> tuple[list[tuple[str, str]], list[str]]:
    from finer1.export.audit import audit_rows
    from finer1.export.training import trained_stages
    from finer1.records import Rationale, read_jsonl
    from finer1.report.page import teacher_warnings

    rationales = read_jsonl(params.paths.reviewed, Rationale)
    has_tapo = "tapo" in trained_stages(params, stage)
    return audit_rows(params, has_tapo), teacher_warnings(rationales)


def _scored_as(params: Params, weights: str) -> str | None:
    """The name under which these weights have answered."""
    from finer1.evaluation.verdicts import MODELS

    for name in (*reversed(MODELS), *params.predict.models):
        path = params.paths.predictions / f"{name}.jsonl"
        if path.is_file():
            with path.open(encoding="utf-8") as rows:
                first = json.loads(rows.readline() or "{}")
            is_asked_so = first.get("strategy") == params.predict.strategy
            if first.get("identity", "").rpartition(":")[2] == weights and is_asked_so:
                return name
    return None


def _measure(params: Params, name: str, stage: Stage | None) -> "tuple[Measured, list[Result]]":
    """The results, and of the protocol what holds of a model that `stage` trained."""
    from finer1.export.card import Measured
    from finer1.export.results import model_index, read_results
    from finer1.report.inputs import read_described
    from finer1.report.measuring import describe_measuring
    from finer1.report.protocol import describe_protocol

    described = read_described(params)
    metrics = json.loads((params.paths.metrics / "score.json").read_text(encoding="utf-8"))
    protocol = describe_protocol(described)
    if stage is None:
        told = [row for row in protocol if row[0] in _UNTRAINED]
        protocol = [*told, *describe_measuring(described)]
    elif stage == "sft":
        protocol = [row for row in protocol if row[0] != _STAGE_TWO]
    confidence = metrics["confidence"]
    rows = [row for one in params.download.datasets for row in read_results(metrics, name, one)]
    measured = Measured(
        rows=read_results(metrics, name),
        index=model_index(rows, params, confidence),
        protocol=protocol,
        confidence=confidence,
        num_options=params.questions.num_options,
    )
    return measured, rows
