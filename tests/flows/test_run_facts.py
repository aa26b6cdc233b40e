"""What a project says of a model that it has not, or no longer, trained; nothing has run there."""

import json

import pytest

from finer1.params import load_params
from flows.run_facts import LIMITS, read_run

WEIGHTS = "5e" * 32


@pytest.fixture
def answered(project, monkeypatch):
    """Writes that a model of the run answered, as the identity says."""
    monkeypatch.chdir(project)
    graph = project / "dvc.yaml"
    graph.write_text(graph.read_text().replace("  second:", "  score:"))
    params = load_params(project / "params.yaml")

    def write(name, identity):
        params.paths.predictions.mkdir(parents=True, exist_ok=True)
        row = {"identity": identity, "strategy": params.predict.strategy}
        (params.paths.predictions / f"{name}.jsonl").write_text(f"{json.dumps(row)}\n")

    return write


def test_of_a_foreign_model_nothing_of_the_run_is_told(project, tmp_path, monkeypatch):
    monkeypatch.chdir(project)
    run = read_run(project, tmp_path / "foreign", WEIGHTS)
    assert (run.stage, run.measured, run.by_dataset) == (None, None, [])
    assert (list(run.audit), list(run.limits), list(run.identity)) == ([], list(LIMITS), [])
    assert run.untold == "foreign is no model that a stage of this project trains"
    assert run.unmeasured == "no predictions of these weights are here"


def test_scores_are_found_by_the_whole_hash(project, answered):
    answered("tapo", f"transformers:float32:{WEIGHTS}")
    stale = read_run(project, project / "copy", WEIGHTS)
    assert stale.unmeasured == "the scores are of an earlier state of this project"
    answered("tapo", f"transformers:float32:{WEIGHTS}00")
    other = read_run(project, project / "copy", WEIGHTS)
    assert other.unmeasured == "no predictions of these weights are here"


def test_outside_of_a_project_there_is_no_run(tmp_path):
    assert read_run(tmp_path, tmp_path / "model", WEIGHTS) is None
