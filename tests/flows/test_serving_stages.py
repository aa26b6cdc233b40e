"""Pipeline, evaluation and experiments of the real stages, started through the Prefect server."""

import json
import subprocess

import pytest

from flows.smoke import prepare
from flows.values import set_values
from tests.flows.served import serve

pytestmark = pytest.mark.slow

SMALLEST = {"predict.models": {}, "tapo.steps": 1, "sft.epochs": 1, "score.bootstrap_samples": 20}


@pytest.fixture(scope="module")
def service(tmp_path_factory, repository):
    """A project of its own with a commit, from which experiments start."""
    folder = tmp_path_factory.mktemp("staged")
    prepare(repository, folder, "smoke")
    set_values(folder / "params.yaml", SMALLEST)
    (folder / ".dvc/config.local").unlink()
    for name in ("prefect.yaml", "pyproject.toml", ".gitignore", ".dvc/.gitignore"):
        (folder / name).write_bytes((repository / name).read_bytes())
    git = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@localhost"]
    for words in (["init", "-q"], ["add", "--all"], ["commit", "-qm", "start"]):
        subprocess.run([*git, *words], check=True)
    yield from serve(folder, folder)


@pytest.fixture(scope="module")
def trained(service):
    """The pipeline's run; all stages have run."""
    run = service.start("pipeline")
    assert service.ended(run) == "COMPLETED"
    return run


def test_the_pipeline_leaves_results_and_links(service, trained):
    found = service.artifacts(trained)
    assert {"stage-sft", "stage-tapo", "progress-tapo", "mlflow-tapo", "report"} <= set(found)
    assert "TAPO - SFT" in found["result"]["data"]
    assert "http://127.0.0.1:5000/#/runs/" in found["mlflow-tapo"]["data"]
    assert (service.folder / "data/report.html").exists()


def test_an_evaluation_asks_and_scores_again_and_trains_nothing(service, trained):
    model = service.folder / "models/tapo"
    before = {path: path.stat().st_mtime_ns for path in model.rglob("*")}
    run = service.start("evaluate", order="stored")
    assert service.ended(run) == "COMPLETED"
    states = service.task_states(run)
    again = {name.partition("@")[0] for name, state in states.items() if state == "Completed"}
    assert again == {"questions", "predict", "score", "report"}
    assert {path: path.stat().st_mtime_ns for path in model.rglob("*")} == before
    assert "order: stored" in (service.folder / "params.yaml").read_text()


def test_experiments_run_to_the_end_and_are_not_made_twice(service, trained):
    run = service.start("experiments", names=["tapo"], seeds=[0])
    assert service.ended(run) == "COMPLETED"
    (row,) = json.loads(service.artifacts(run)["experiment-runs"]["data"])
    assert row["run"] == "tapo-seed0"
    assert "from cache" in row["outcome"]
    again = service.start("experiments", names=["tapo"], seeds=[0])
    assert service.ended(again) == "COMPLETED"
    assert "experiment-runs" not in service.artifacts(again)
