"""A stage's outputs and its tracker: whatever the server does, the bytes are the same."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time

import pytest
import yaml

from tasks.concepts import concepts
from tasks.cot import cot
from tasks.download import download
from tasks.review import review
from tasks.split import split
from tasks.tracking import find_journals, sync
from tests.tasks.tracking.faulty_server import dying_server, faulty_server
from tests.tasks.tracking.test_run import client_of, runs_of

pytestmark = pytest.mark.slow
OUTPUTS = ("models/sft", "data/logs/sft.jsonl", "data/metrics/sft.json")


@pytest.fixture
def project(repository, make_context, own_images, tiny_model, tmp_path, tracking_store):
    """A folder in which `python -m tasks.sft` runs, on own images and the tiny random model."""
    changes = own_images[1] | {"paths.base": str(tiny_model), "sft.epochs": 6, "sft.batch_size": 1}
    context = make_context("sft", changes)
    for body in (download, split, concepts, cot, review):
        body(context)
    values = context.params.model_dump(mode="json")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    shutil.copy(repository / "dvc.yaml", tmp_path)
    for room in ("finer1", "tasks"):
        (tmp_path / room).symlink_to(repository / room)
    shutil.copy(tracking_store / "mlflow.db", tmp_path)
    return tmp_path


@pytest.fixture
def train(project):
    """Run the stage with a tracking store; returns its outputs' bytes and what it said."""

    def train(uri):
        for path in OUTPUTS:
            target = project / path
            shutil.rmtree(target, ignore_errors=True) if target.is_dir() else target.unlink(True)
        environ = {**os.environ, "MLFLOW_TRACKING_URI": uri}
        done = subprocess.run(
            [sys.executable, "-m", "tasks.sft"],
            cwd=project,
            env=environ,
            capture_output=True,
            text=True,
            timeout=1800,
        )
        assert done.returncode == 0, done.stderr
        files = [project / path for path in OUTPUTS]
        files = [f for path in files for f in (path.rglob("*") if path.is_dir() else [path])]
        return {str(f): f.read_bytes() for f in files if f.is_file()}, done.stderr

    return train


@pytest.fixture
def server(project):
    """The port of a real MLflow server over the project's store."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
        *("--workers", "1", "--backend-store-uri", f"sqlite:///{project}/mlflow.db"),
        *("--artifacts-destination", str(project / "served")),
    ]
    with (project / "server.log").open("w") as log:
        process = subprocess.Popen(
            command,
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.5)
        yield port
    finally:
        os.killpg(process.pid, 15)
        process.wait(60)


def test_no_fault_of_a_server_changes_a_byte_and_sync_brings_all_of_it(project, train):
    healthy, _ = train(f"sqlite:///{project}/mlflow.db")
    assert any(name.endswith("model.safetensors") for name in healthy)
    steps = len((project / "data/logs/sft.jsonl").read_text().splitlines())
    assert steps > 5
    for fault in ("refuses", "hangs", "fails", "trickles", "lies"):
        with faulty_server(fault) as address:
            outputs, said = train(address)
        assert outputs == healthy, fault
        assert "`finer1 sync` brings it there" in said
    assert len(find_journals(project)) == 5
    assert {found.state for found in sync(project)} == {"sent"}
    assert find_journals(project) == []
    runs = runs_of(project, "sft")
    assert len(runs) == 6
    for run in runs:
        history = client_of(project).get_metric_history(run.info.run_id, "train/loss")
        # The stage's own metric of this name is the step 0.
        assert sorted(point.step for point in history) == list(range(steps + 1))
        assert run.info.status == "FINISHED"


def points_of(project, run):
    """Its metrics, less those that vary between equal runs."""
    client = client_of(project)
    return {
        name: [(p.step, p.value) for p in client.get_metric_history(run.info.run_id, name)]
        for name in run.data.metrics
        if not name.startswith(("system/", "time/", "speed/", "mem/"))
    }


@pytest.mark.parametrize("how", ["fails", "hangs"])
def test_a_server_that_dies_at_a_step_has_all_points_after_sync(
    project, train, server, monkeypatch, how
):
    healthy, _ = train(f"sqlite:///{project}/mlflow.db")
    with dying_server(server, lambda path, number: number == 13, how) as address:
        outputs, said = train(address)
    assert outputs == healthy
    assert "`finer1 sync` brings it there" in said
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server}")
    assert {found.state for found in sync(project)} == {"sent"}
    first, second = runs_of(project, "sft")
    assert points_of(project, first) == points_of(project, second)
    assert json.loads((project / "data/metrics/sft.json").read_text()).keys() <= (
        second.data.metrics.keys()
    )


PHASES = {
    "start": "runs/create",
    "metric": "runs/log-batch",
    "artifact": "mlflow-artifacts/artifacts/",
    "finish": "runs/update",
}
"""Part of the path of the request at which the server vanishes."""


@pytest.mark.parametrize("phase", PHASES)
def test_a_server_that_vanishes_in_any_phase_changes_no_byte_and_loses_nothing(
    project, train, server, monkeypatch, phase
):
    healthy, _ = train(f"http://127.0.0.1:{server}")
    (whole,) = runs_of(project, "sft")
    with dying_server(server, lambda path, _: PHASES[phase] in path, "vanishes") as address:
        outputs, said = train(address)
    assert outputs == healthy
    assert "`finer1 sync` brings it there" in said
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server}")
    assert {found.state for found in sync(project)} == {"sent"}
    assert find_journals(project) == []
    runs = runs_of(project, "sft")
    assert len(runs) == 2  # it is not there twice, although nobody heard that it was made
    (other,) = [run for run in runs if run.info.run_id != whole.info.run_id]
    assert other.info.status == "FINISHED"
    assert points_of(project, other) == points_of(project, whole)
    assert artifacts_of(project, other) == artifacts_of(project, whole)


def artifacts_of(project, run):
    """Paths of what the server keeps of a run, without what names the time."""
    folder = project / "served" / run.info.experiment_id / run.info.run_id / "artifacts"
    found = [path.relative_to(folder).parts[0] for path in folder.rglob("*") if path.is_file()]
    assert found
    return sorted(set(found))
