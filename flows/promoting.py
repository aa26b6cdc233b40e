"""`finer1 promote`: the trained model becomes champion if the evaluation says that it is better."""

import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from finer1.params import Params, load_params
from tasks.exit_codes import MACHINE

_PATIENCE_S = 5.0
"""For the registry alone, after a pipeline run."""


@dataclass(frozen=True)
class Promotion:
    """What became of the candidate."""

    sentence: str
    is_champion: bool


@dataclass(frozen=True)
class _Candidate:
    """The trained model and its answers."""

    params: Params
    answers: dict[str, Any]
    """Of base and tapo."""
    weights: str
    """SHA-256 of paths.tapo."""


def promote() -> None:
    """Make the trained model champion of the registry, if its answers are better than the other's.

    Example: finer1 promote
    """
    from tasks.tracking.store import first_line, store_errors

    candidate = _read_candidate(Path.cwd())
    try:
        print(_decide(candidate, Path.cwd()).sentence)
    except store_errors() as error:
        print(f"MLflow does not answer: {first_line(error)}")
        raise typer.Exit(MACHINE) from error


def promote_after_run(root: Path) -> str:
    """The same at the end of a pipeline run, which no registry may fail or keep waiting.

    Returns a sentence.
    """
    from tasks.tracking.store import first_line

    found: list[str] = []
    try:
        candidate = _read_candidate(root)
    except (ValueError, OSError) as error:
        return f"left as it is: {error}"

    def work() -> None:
        try:
            found.append(_decide(candidate, root).sentence)
        except ValueError as error:
            found.append(f"left as it is: {error}")
        except Exception as error:
            found.append(f"left as it is ({first_line(error)}); later: finer1 promote")

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(_PATIENCE_S)
    return found[0] if found else "MLflow does not answer; later: finer1 promote"


def promote_candidate(root: Path) -> Promotion:
    """Compare the answers of paths.tapo with those of the champion, or of the base without one.

    Raises ValueError when the model is not trained or not scored, or its version not in MLflow;
    and what MLflow raises.
    """
    return _decide(_read_candidate(root), root)


def _read_candidate(root: Path) -> _Candidate:
    """What is on this disk, however long it takes to read; and mlflow, in the caller's thread."""
    from finer1.manifest import model_identity
    from tasks.tracking.store import load_mlflow

    params = load_params(root / "params.yaml")
    answers = _answers(params, root)
    weights = model_identity(root / params.paths.tapo)
    _check_scored(root / params.paths.predictions / "tapo.jsonl", weights)
    load_mlflow()
    return _Candidate(params, answers, weights)


def _decide(candidate: _Candidate, root: Path) -> Promotion:
    """What needs the registry."""
    from tasks.tracking import open_store
    from tasks.tracking.registry import CHAMPION, find_alias, find_weights, make_champion

    params, answers = candidate.params, candidate.answers
    client, _ = open_store(root)
    version = find_weights(client, candidate.weights)
    if version is None:
        raise ValueError(
            f"{params.paths.tapo} is not in the registry; finer1 sync brings it there if its run "
            "is kept here"
        )
    champion = find_alias(client, CHAMPION)
    if champion is not None and champion.version == version.version:
        return Promotion(f"version {version.version} of finer1 is champion", True)
    rival, others = _rival(client, champion, answers)
    gate, told = _compare(params, answers["tapo"], others)
    told = f"version {version.version} of finer1 - {rival}, open accuracy: {told}"
    if not gate:
        return Promotion(f"{told}; stays candidate", False)
    make_champion(client, version, dict(answers["tapo"]), told)
    return Promotion(f"{told}; is champion now", True)


def _check_scored(predictions: Path, weights: str) -> None:
    """Raise ValueError when there are no answers, or they are those of other weights."""
    if not predictions.exists():
        raise ValueError(f"{predictions} is missing; run the stages first: finer1 run")
    with predictions.open(encoding="utf-8") as rows:
        identity = json.loads(rows.readline() or "{}").get("identity", "")
    if weights not in identity:
        raise ValueError(f"{predictions} is of other weights; run the stages again: finer1 run")


def _answers(params: Params, root: Path) -> dict[str, Any]:
    """Model -> its open answers. Raises ValueError without the verdicts of this model."""
    from finer1.evaluation.gate import open_answers
    from finer1.evaluation.verdicts import Verdict
    from finer1.records import read_jsonl

    path = root / params.paths.verdicts
    if not path.exists() or not (root / params.paths.tapo).is_dir():
        raise ValueError(f"{path} is missing; run the stages first: finer1 run")
    verdicts = read_jsonl(path, Verdict)
    return {
        model: open_answers(row for row in verdicts if row.model == model)
        for model in ("base", "tapo")
    }


def _rival(client: Any, champion: Any, answers: dict[str, Any]) -> tuple[str, Any]:
    from finer1.evaluation.gate import is_comparable
    from tasks.tracking.registry import champion_answers

    if champion is None:
        return "base", answers["base"]
    theirs = champion_answers(client, champion)
    if theirs is None or not is_comparable(answers["tapo"], theirs):
        return "base (the champion answered other questions)", answers["base"]
    return f"champion (version {champion.version})", theirs


def _compare(params: Params, ours: Any, theirs: Any) -> tuple[bool, str]:
    from finer1.evaluation.gate import pass_gate
    from finer1.evaluation.statistics import Bootstrap

    settings = params.score
    bootstrap = Bootstrap(settings.bootstrap_samples, settings.confidence, params.seed)
    gate = pass_gate(ours, theirs, bootstrap, params.comparison.gate)
    value, low, high = (
        100 * number for number in (gate.interval.value, gate.interval.low, gate.interval.high)
    )
    words = f"{value:+.1f} [{low:+.1f}, {high:+.1f}] points on {gate.num_questions} questions"
    return gate.has_passed, words
