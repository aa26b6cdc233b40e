"""The flow on the toy project, under a real embedded Prefect server."""

import os
import subprocess
import sys

import pytest

from flows.workspace import hold
from tasks.tracking import EXPERIMENT

pytestmark = pytest.mark.slow


def run_flow(project, repository, *words):
    environ = {**os.environ, "PYTHONPATH": str(repository)}
    environ.pop("FINER1_PARENT_RUN")
    return subprocess.run(
        [sys.executable, "-m", "flows.pipeline", *words],
        cwd=project,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_flow_streams_stages_and_stops_at_bad_input(project, repository):
    (project / "fail").write_text("code 2")
    failed = run_flow(project, repository)
    assert failed.returncode == 2
    assert "this is first" in failed.stderr + failed.stdout
    (project / "fail").unlink()
    again = run_flow(project, repository)
    # `first` was finished: DVC passes over it.
    assert again.returncode == 0
    assert "this is first" not in again.stderr + again.stdout
    assert "this is second" in again.stderr + again.stdout
    assert (project / ".prefect/prefect.db").exists()
    from mlflow import MlflowClient

    # The runs of the pipeline lead to their flow runs.
    client = MlflowClient(f"sqlite:///{project / 'mlflow.db'}")
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    runs = client.search_runs([experiment], "attributes.run_name = 'pipeline'")
    assert len({run.data.tags["flow_run"] for run in runs}) == 2


def test_the_flow_leaves_a_folder_in_use_alone(project, repository):
    before = (project / "params.yaml").read_bytes()
    with hold(project):
        refused = run_flow(project, repository, "-S", "seed=9")
    assert refused.returncode == 2
    assert "is in use by process" in refused.stderr
    assert (project / "params.yaml").read_bytes() == before
