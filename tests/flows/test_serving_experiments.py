"""The flows `experiments` and `evaluate` through the Prefect server, on toy stages."""

import json
import subprocess

import pytest

from tests.flows.served import serve
from tests.flows.test_experiments import EXPERIMENTS, GRAPH, VERDICTS

pytestmark = pytest.mark.slow

TRAIN = """
  train:
    cmd: echo trained >> data/model.txt
    params: [tapo]
    outs: [{data/model.txt: {persist: true}}]
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory, repository, make_project):
    folder = tmp_path_factory.mktemp("compared")
    make_project(folder)
    for name in ("prefect.yaml", "pyproject.toml"):
        (folder / name).write_bytes((repository / name).read_bytes())
    (folder / ".dvc/config").write_text("[core]\n    analytics = false\n")
    (folder / ".dvc/.gitignore").write_text("/tmp\n/cache\n/config.local\n")
    ignored = "/data/\n/mlflow.db*\n/logs/\n/.prefect/\n/deploy.log\n"
    (folder / ".gitignore").write_text(ignored)
    (folder / "models/base/world").mkdir(parents=True)
    (folder / "models/base/world/config.json").write_text("{}")
    (folder / "dvc.yaml").write_text(GRAPH.replace("[seed, sft]", "[seed, sft, questions]") + TRAIN)
    (folder / "stage.py").write_text(VERDICTS)
    params = (folder / "params.yaml").read_text().partition("\nexperiments:")[0]
    (folder / "params.yaml").write_text(params + EXPERIMENTS)
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "start"]):
        subprocess.run([*git, *words], check=True)
    yield from serve(folder, repository)


def test_experiments_fill_their_table_and_are_not_made_twice(service):
    run = service.start("experiments", names=["both"], seeds=[0], jobs=2)
    assert service.ended(run) == "COMPLETED"
    found = service.artifacts(run)
    rows = json.loads(found["experiment-runs"]["data"])
    assert {row["run"] for row in rows} == {"two-seed0", "five-seed0"}
    assert {row["outcome"] for row in rows} == {"2 stages ran, 0 from cache"}
    # 5 of 10 questions are right against 2 of 10.
    assert "| Five - Two | +30.0 [" in found["table-both"]["data"]
    assert found["progress-experiments"]["data"] == 100.0
    again = service.start("experiments", names=["both"], seeds=[0])
    assert service.ended(again) == "COMPLETED"
    assert "experiment-runs" not in service.artifacts(again)
    assert "table-both" in service.artifacts(again)


def test_an_evaluation_scores_again_and_trains_nothing(service):
    assert service.ended(service.start("stage", stages=["train"])) == "COMPLETED"
    before = (service.folder / "data/model.txt").read_text()
    run = service.start("evaluate", order="stored", assignments=["tapo.lr=0.001"])
    assert service.ended(run) == "COMPLETED"
    assert service.task_states(run) == {"score": "Completed"}
    assert (service.folder / "data/model.txt").read_text() == before
    assert "order: stored" in (service.folder / "params.yaml").read_text()
