"""The rules of automations.yaml at a real server, which is told to act on them."""

import os
import signal
import time
from contextlib import suppress

import psutil
import pytest

from tests.flows.served import RUN_S, serve, wait_for

pytestmark = pytest.mark.slow

HEARTBEAT_S, SILENT_S = 30, 100


@pytest.fixture(scope="module")
def service(tmp_path_factory, repository, make_project):
    folder = tmp_path_factory.mktemp("ruled")
    make_project(folder)
    for name in ("prefect.yaml", "pyproject.toml"):
        (folder / name).write_bytes((repository / name).read_bytes())
    rules = (repository / "automations.yaml").read_text()
    assert "within: 600" in rules
    (folder / "automations.yaml").write_text(rules.replace("within: 600", f"within: {SILENT_S}"))
    heartbeat = {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_S)}
    yield from serve(folder, repository, **heartbeat)


@pytest.fixture(scope="module")
def rules(service):
    """The rules at the server, as they come: switched off."""
    service.prefect("automation", "create", "-f", "automations.yaml")
    found = {item["name"]: item["enabled"] for item in service.post("/automations/filter", {})}
    assert found == {"finer1-retry-crashed": False, "finer1-silent-run": False}


@pytest.fixture
def engine(service, rules):
    """A run of the pipeline whose second stage waits, and its process."""
    (service.folder / "wait").touch()
    run = service.start("pipeline", assignments=[f"sft.lr=0.{time.time_ns() % 10**6 + 1}"])
    service.wait_for_child("stage.py", "second")
    process = service.child("prefect.engine")
    yield run, process
    (service.folder / "wait").unlink(missing_ok=True)
    with suppress(psutil.Error):
        process.kill()


def test_a_crashed_run_is_started_again(service, engine):
    run, process = engine
    service.prefect("automation", "resume", "finer1-retry-crashed")
    process.kill()
    wait_for(lambda: service.run(run)["run_count"] == 2, RUN_S)
    (service.folder / "wait").unlink()
    assert service.ended(run, 2) == "COMPLETED"
    names = [state["name"] for state in service.get(f"/flow_run_states/?flow_run_id={run}")]
    assert {"Crashed", "AwaitingRetry"} <= set(names)
    service.prefect("automation", "pause", "finer1-retry-crashed")


def test_a_run_without_heartbeats_is_marked_as_crashed(service, engine):
    run, process = engine
    service.prefect("automation", "resume", "finer1-silent-run")
    # It has to send one after the rule is on.
    wait_for(lambda: num_heartbeats(service, run) > 0, RUN_S)
    os.kill(process.pid, signal.SIGSTOP)
    assert service.ended(run) == "CRASHED"
    assert service.run(run)["state"]["message"] == "no heartbeat for ten minutes"
    service.prefect("automation", "pause", "finer1-silent-run")


def num_heartbeats(service, run):
    kinds = {"event": {"name": ["prefect.flow-run.heartbeat"]}}
    resource = {"resource": {"id": [f"prefect.flow-run.{run}"]}}
    return service.post("/events/filter", {"filter": {**kinds, **resource}})["total"]
