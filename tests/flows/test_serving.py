"""What `python -m flows.deploy` starts, on the toy project: a real server, worker and look-out."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from flows.workspace import hold
from tests.flows.served import RUN_S, is_working, serve, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def service(tmp_path_factory, repository, make_project):
    folder = tmp_path_factory.mktemp("served")
    make_project(folder)
    for name in ("prefect.yaml", "pyproject.toml"):
        (folder / name).write_bytes((repository / name).read_bytes())
    yield from serve(folder, repository)


@pytest.fixture
def waiting(service):
    """A run of the stage `second`, which waits and writes meanwhile; nothing of it is left."""
    release(service)
    (service.folder / "data/second.txt").unlink(missing_ok=True)
    (service.folder / "wait").touch()
    run = service.start("stage", stages=["second"], assignments=[f"sft.lr={time.time() % 1:.6f}"])
    service.wait_for_child("stage.py", "second")
    yield run
    release(service)
    service.ended(run)
    wait_for(lambda: not writers(service), RUN_S)


def release(service):
    """Let the stage `second` go on."""
    (service.folder / "wait").unlink(missing_ok=True)


def writers(service):
    """The processes that write for a run: the stage, DVC, `finer1 run`."""
    found = [service.child(*words) for words in (("stage.py",), ("dvc", "repro"), ("flows.cli",))]
    return [process for process in found if process]


def assert_nothing_is_written(folder):
    beats = folder / "beats"
    before = beats.stat().st_size
    time.sleep(3)
    assert beats.stat().st_size == before
    assert not (folder / "data/second.txt").exists()


def test_a_run_leaves_tables_and_a_summary(service):
    run = service.start("pipeline")
    assert service.ended(run) == "COMPLETED"
    found = service.artifacts(run)
    assert {"stage-first", "stage-second", "progress-second", "result"} <= set(found)
    assert found["stage-first"]["type"] == "table"
    assert "| first | ran |" in found["result"]["data"]
    wait_for(lambda: "second: this is second" in service.log(run), RUN_S)
    assert (service.folder / "data/second.txt").read_text() == "second"
    assert (service.folder / ".prefect/prefect.db").exists()
    again = service.start("pipeline")
    assert service.ended(again) == "COMPLETED"
    assert "| first | up to date |" in service.artifacts(again)["result"]["data"]
    assert "stage-first" not in service.artifacts(again)
    assert service.task_states(again) == {"first": "UpToDate", "second": "UpToDate"}


def test_nothing_of_it_speaks_to_another_machine(service):
    everything = [psutil.Process(service.process.pid), *service.tree()]
    connections = [item for each in everything for item in each.net_connections("inet")]
    assert service.port in {item.laddr.port for item in connections}
    listening = {item.laddr.ip for item in connections if item.status == psutil.CONN_LISTEN}
    spoken_to = {item.raddr.ip for item in connections if item.raddr}
    assert listening | spoken_to <= {"127.0.0.1", "::1"}


def test_a_cancelled_run_leaves_no_writer_and_the_next_goes_on(service, waiting):
    working = writers(service)
    assert len(working) == 3
    service.set_state(waiting, "CANCELLING")
    assert service.ended(waiting) == "CANCELLED"
    assert not any(map(is_working, working))
    assert_nothing_is_written(service.folder)
    release(service)
    assert service.ended(service.start("pipeline")) == "COMPLETED"
    assert (service.folder / "data/second.txt").exists()


@pytest.mark.parametrize(
    "victim", [("prefect.engine",), ("worker", "start")], ids=["run", "worker"]
)
def test_a_killed_run_is_crashed_and_can_be_retried(service, waiting, victim):
    working, worker = writers(service), service.child("worker", "start")
    service.child(*victim).kill()
    assert service.ended(waiting) == "CRASHED"
    wait_for(lambda: not any(map(is_working, working)), 10)
    assert_nothing_is_written(service.folder)
    wait_for(lambda: service.child("worker", "start"), RUN_S)
    assert (service.child("worker", "start") != worker) is ("worker" in victim)
    release(service)
    assert service.retry(waiting) == "COMPLETED"
    assert service.task_states(waiting)["first"] == "UpToDate"


def test_a_killed_server_costs_a_stage_nothing(service, waiting):
    server, writer = service.child("flows.prefect_server"), service.child("stage.py", "second")
    server.kill()
    release(service)
    wait_for(lambda: not is_working(writer), RUN_S)
    wait_for(lambda: (service.folder / "data/second.txt").exists(), RUN_S)
    wait_for(lambda: service.child("flows.prefect_server") not in (None, server), RUN_S)
    wait_for(service.is_open, RUN_S)
    if service.ended(waiting) != "COMPLETED":
        assert service.retry(waiting) == "COMPLETED"
        assert service.task_states(waiting)["second"] == "UpToDate"
    made = (service.folder / "data/second.txt").stat().st_mtime_ns
    again = service.start("pipeline")
    assert service.ended(again) == "COMPLETED"
    assert service.task_states(again)["second"] == "UpToDate"
    assert (service.folder / "data/second.txt").stat().st_mtime_ns == made


def test_a_second_run_waits_for_the_first(service, waiting):
    second = service.start("pipeline")
    time.sleep(10)
    assert service.state(second) == "SCHEDULED"
    assert service.state(waiting) == "RUNNING"
    release(service)
    assert (service.ended(waiting), service.ended(second)) == ("COMPLETED", "COMPLETED")
    assert service.run(waiting)["end_time"] <= service.run(second)["start_time"]


def test_a_run_waits_for_one_that_was_typed_and_says_so(service):
    with hold(service.folder):
        run = service.start("stage", stages=["first"])
        wait_for(lambda: f"is in use by process {os.getpid()}" in service.log(run), RUN_S)
        assert service.state(run) == "RUNNING"
    assert service.ended(run) == "COMPLETED"


def test_a_run_is_started_from_a_shell(service):
    known = service.runs()
    service.prefect("deployment", "run", "stage/stage", "--params", '{"stages": ["first"]}')
    (run,) = service.runs() - known
    assert service.ended(run) == "COMPLETED"
    assert set(service.task_states(run)) == {"first"}


@pytest.mark.parametrize(("decision", "end"), [("go on", "COMPLETED"), ("stop", "FAILED")])
def test_a_run_pauses_for_review_and_does_what_the_person_says(service, decision, end):
    seed = int(time.time())
    run = service.start("pipeline", pause_after=["first"], assignments=[f"seed={seed}"])
    service.wait_until_suspended(run)
    # The folder is free meanwhile, and there is no process of the run.
    wait_for(lambda: service.child("prefect.engine") is None, RUN_S)
    assert service.ended(service.start("stage", stages=["first"])) == "COMPLETED"
    service.resume(run, decision)
    assert service.ended(run) == end
    # A log arrives some time after the state.
    told = service.log if decision == "go on" else lambda run: service.run(run)["state"]["message"]
    wait_for(lambda: "by hand" in told(run), RUN_S)


def test_a_resumed_run_that_finds_other_outputs_asks_again(service):
    run = service.start("pipeline", pause_after=["first"])
    service.wait_until_suspended(run)
    (service.folder / "more").write_text(" and more")
    seed = f"seed={int(time.time())}"
    assert service.ended(service.start("stage", stages=["first"], assignments=[seed])) == (
        "COMPLETED"
    )
    (service.folder / "more").unlink()
    service.resume(run, "go on")
    wait_for(lambda: service.num_suspensions(run) == 2 or service.is_at_rest(run), RUN_S)
    service.wait_until_suspended(run)
    service.resume(run, "go on")
    assert service.ended(run) == "COMPLETED"


def test_a_typed_run_pauses_in_place(service):
    known = service.runs()
    environ = {**service.environ, "PREFECT_API_URL": f"{service.address}/api"}
    command = [sys.executable, "-m", "flows.pipeline", "--pause-after", "first"]
    with subprocess.Popen(command, cwd=service.folder, env=environ) as typed:
        try:
            wait_for(lambda: service.runs() - known, RUN_S)
            (run,) = service.runs() - known
            wait_for(lambda: service.run(run)["state_name"] == "Paused", RUN_S)
            assert typed.poll() is None
            service.resume(run, "go on")
            assert typed.wait(RUN_S) == 0
        finally:
            typed.kill()
    assert service.state(run) == "COMPLETED"


def test_bad_settings_fail_with_the_reason(service):
    run = service.start("pipeline", assignments=["sft.epochz=3"])
    assert service.ended(run) == "FAILED"
    assert "sft.epochz" in service.run(run)["state"]["message"]


def test_no_schedule_is_on(service):
    found = service.post("/deployments/filter", {})
    assert [item["active"] for each in found for item in each["schedules"]] == [False]


def test_a_worker_by_hand_serves_the_deployments_of_another_server(service):
    """The server of PREFECT_API_URL is taken; none is started beside it."""
    environ = {**service.environ, "PREFECT_API_URL": f"{service.address}/api"}
    command = [sys.executable, "-m", "flows.deploy", "--register"]
    done = subprocess.run(
        command, cwd=service.folder, env=environ, capture_output=True, text=True, timeout=RUN_S
    )
    assert done.returncode == 0
    assert "started   server" not in done.stdout
    assert done.stdout.count("deployed  ") == 4
    ours = service.child("worker", "start")
    os.kill(ours.pid, signal.SIGSTOP)  # takes no run
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "finer1"]
    with subprocess.Popen(command, cwd=service.folder, env=environ) as worker:
        try:
            run = service.start("stage", stages=["first"])
            assert service.ended(run) == "COMPLETED"
            assert psutil.Process(worker.pid).is_running()
        finally:
            worker.terminate()
            worker.wait(60)
            os.kill(ours.pid, signal.SIGCONT)
