"""What `python -m flows.deploy` starts, on the toy project: a real server, worker and look-out."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress

import httpx
import psutil
import pytest

pytestmark = pytest.mark.slow
START_S, RUN_S = 900, 600
AT_REST = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


class Service:
    """The command in a folder, and the server's API."""

    def __init__(self, folder, repository):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.folder, self.address = folder, f"http://127.0.0.1:{self.port}"
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "FINER1_"))}
        environ = {**keep, "PYTHONPATH": str(repository), "PYTHONUNBUFFERED": "1"}
        environ["PREFECT_WORKER_QUERY_SECONDS"] = "2"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "flows.deploy", "--port", str(self.port)],
            cwd=folder,
            env=environ,
            stdout=(folder / "deploy.log").open("w"),
            stderr=subprocess.STDOUT,
        )

    def wait_until_open(self):
        wait_for(lambda: "open " in self.output() or self.process.poll() is not None, START_S)
        assert self.process.poll() is None, self.output()

    def end(self):
        """End it as Ctrl-C does, and whatever that leaves; returns the exit code."""
        tree = self.tree()
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(120)
        finally:
            self.process.kill()
            for process in tree:
                with suppress(psutil.Error):
                    process.kill()

    def output(self):
        return (self.folder / "deploy.log").read_text()

    def post(self, path, body):
        """Answer of the server, which is asked again when its database is busy, as clients do."""
        until = time.monotonic() + RUN_S
        while True:
            answer = httpx.post(f"{self.address}/api{path}", json=body, timeout=RUN_S)
            if answer.status_code != 503 or time.monotonic() > until:
                break
            time.sleep(1)
        answer.raise_for_status()
        return answer.json()

    def start(self, deployment, **parameters):
        found = self.post("/deployments/filter", {})
        (id_,) = [item["id"] for item in found if item["name"] == deployment]
        body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        return self.post(f"/deployments/{id_}/create_flow_run", body)["id"]

    def run(self, run):
        return httpx.get(f"{self.address}/api/flow_runs/{run}", timeout=60).json()

    def state(self, run):
        return self.run(run)["state_type"]

    def set_state(self, run, kind, name=None):
        """What the buttons of the UI do."""
        state = {"type": kind, **({"name": name} if name else {})}
        return self.post(f"/flow_runs/{run}/set_state", {"state": state})

    def ended(self, run):
        wait_for(lambda: self.state(run) in AT_REST, RUN_S)
        return self.state(run)

    def tree(self):
        return psutil.Process(self.process.pid).children(recursive=True)

    def child(self, *words):
        """The process of the service whose command has all the words."""
        for process in self.tree():
            with suppress(psutil.Error):
                if all(word in process.cmdline() for word in words):
                    return process
        return None

    def artifacts(self, run):
        found = self.post("/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run]}}})
        return {item["key"]: item for item in found}


def wait_for(is_done, seconds):
    until = time.monotonic() + seconds
    while not is_done():
        assert time.monotonic() < until, "too slow"
        time.sleep(0.5)


@pytest.fixture(scope="module")
def service(tmp_path_factory, repository, make_project):
    folder = tmp_path_factory.mktemp("served")
    make_project(folder)
    for name in ("prefect.yaml", "pyproject.toml"):
        (folder / name).write_bytes((repository / name).read_bytes())
    service = Service(folder, repository)
    try:
        service.wait_until_open()
        yield service
    finally:
        code = service.end()
    assert code == 0


@pytest.fixture
def waiting(service):
    """A run of the pipeline whose stage `second` waits."""
    (service.folder / "data/second.txt").unlink(missing_ok=True)
    (service.folder / "wait").touch()
    run = service.start("stage", stages=["second"], assignments=[f"sft.lr={time.time() % 1:.6f}"])
    wait_for(lambda: service.child("stage.py", "second"), RUN_S)
    yield run
    (service.folder / "wait").unlink(missing_ok=True)


def test_a_run_leaves_tables_and_a_summary(service):
    run = service.start("pipeline")
    assert service.ended(run) == "COMPLETED"
    found = service.artifacts(run)
    assert {"stage-first", "stage-second", "result"} <= set(found)
    assert found["stage-first"]["type"] == "table"
    assert "| first | ran |" in found["result"]["data"]
    assert (service.folder / "data/second.txt").read_text() == "second"
    again = service.start("pipeline")
    assert service.ended(again) == "COMPLETED"
    assert "| first | up to date |" in service.artifacts(again)["result"]["data"]
    assert "stage-first" not in service.artifacts(again)


def test_nothing_of_it_listens_beyond_this_machine(service):
    everything = [psutil.Process(service.process.pid), *service.tree()]
    listening = [
        connection.laddr.ip
        for process in everything
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert service.port in {
        connection.laddr.port
        for process in everything
        for connection in process.net_connections("inet")
    }
    assert set(listening) <= {"127.0.0.1", "::1"}


def test_a_cancelled_run_leaves_no_writer_and_the_next_goes_on(service, waiting):
    writers = [service.child("stage.py", "second"), service.child("dvc", "repro")]
    assert all(writers)
    service.set_state(waiting, "CANCELLING")
    assert service.ended(waiting) == "CANCELLED"
    _, alive = psutil.wait_procs(writers, timeout=10)
    assert not alive
    assert not (service.folder / "data/second.txt").exists()
    (service.folder / "wait").unlink()
    assert service.ended(service.start("pipeline")) == "COMPLETED"
    assert (service.folder / "data/second.txt").exists()


def test_a_killed_run_is_crashed_and_can_be_retried(service, waiting):
    writer = service.child("stage.py", "second")
    service.child("prefect.engine").kill()
    assert service.ended(waiting) == "CRASHED"
    assert not writer.is_running()
    (service.folder / "wait").unlink()
    service.set_state(waiting, "SCHEDULED", "AwaitingRetry")
    wait_for(lambda: service.run(waiting)["run_count"] == 2, RUN_S)
    assert service.ended(waiting) == "COMPLETED"


def test_a_killed_worker_takes_its_run_along_and_is_started_again(service, waiting):
    writer = service.child("stage.py", "second")
    service.child("worker", "start").kill()
    assert service.ended(waiting) == "CRASHED"
    assert not writer.is_running()
    (service.folder / "wait").unlink()
    service.set_state(waiting, "SCHEDULED", "AwaitingRetry")
    wait_for(lambda: service.run(waiting)["run_count"] == 2, RUN_S)
    assert service.ended(waiting) == "COMPLETED"


def test_a_second_run_waits_for_the_first(service, waiting):
    second = service.start("pipeline")
    time.sleep(10)
    assert service.state(second) == "SCHEDULED"
    assert service.state(waiting) == "RUNNING"
    (service.folder / "wait").unlink()
    assert (service.ended(waiting), service.ended(second)) == ("COMPLETED", "COMPLETED")
    assert service.run(waiting)["end_time"] <= service.run(second)["start_time"]


@pytest.mark.parametrize(("decision", "end"), [("go on", "COMPLETED"), ("stop", "FAILED")])
def test_a_run_pauses_for_review_and_does_what_the_person_says(service, decision, end):
    seed = int(time.time())
    run = service.start("pipeline", pause_after=["first"], assignments=[f"seed={seed}"])
    wait_for(lambda: service.state(run) in {"PAUSED", *AT_REST}, RUN_S)
    assert service.run(run)["state_name"] == "Suspended"
    # The folder is free meanwhile.
    assert service.ended(service.start("stage", stages=["first"])) == "COMPLETED"
    words = {"decision": decision, "note": "by hand"}
    service.post(f"/flow_runs/{run}/resume", {"run_input": words})
    assert service.ended(run) == end


def test_bad_settings_fail_with_the_reason(service):
    run = service.start("pipeline", assignments=["sft.epochz=3"])
    assert service.ended(run) == "FAILED"
    assert "sft.epochz" in service.run(run)["state"]["message"]


@pytest.fixture
def page(service):
    """A page of the Prefect UI in headless Chromium; fails if it asks for anything elsewhere."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium")
    outside = []
    with playwright.sync_playwright() as started:
        words = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = started.chromium.launch(executable_path=chromium, args=words)
        page = browser.new_page(viewport={"width": 1300, "height": 1100})
        page.set_default_timeout(1000 * RUN_S)
        page.on("request", lambda request: outside.append(request.url))
        yield page
        browser.close()
    assert [url for url in outside if not url.startswith((service.address, "data:"))] == []


def open_form(page, service, deployment):
    (found,) = service.post(
        "/deployments/filter", {"deployments": {"name": {"any_": [deployment]}}}
    )
    page.goto(f"{service.address}/deployments/deployment/{found['id']}/run")


def choose(page, label, name):
    """Tick a name in the list of a parameter."""
    field = page.locator(".schema-form-property", has_text=label).last
    field.locator(".p-select-button__control").focus()
    page.keyboard.press("ArrowDown")
    page.locator(".p-select-option", has_text=name).first.click()
    page.get_by_text("Parameters", exact=True).first.click()  # closes the list


def press(page, name):
    page.get_by_role("button", name=name, exact=True).last.click()


def submit(page, service, tmp_path):
    """Start the run of the form; returns its id."""
    page.screenshot(path=tmp_path / "form.png")
    known = {run["id"] for run in service.post("/flow_runs/filter", {})}
    press(page, "Submit")
    new = set()
    while not new:
        page.wait_for_timeout(500)
        new = {run["id"] for run in service.post("/flow_runs/filter", {})} - known
    return new.pop()


def test_a_run_is_started_cancelled_and_retried_by_clicking(service, page, tmp_path):
    (service.folder / "data/second.txt").unlink(missing_ok=True)
    (service.folder / "wait").touch()
    open_form(page, service, "stage")
    choose(page, "stages", "second")
    run = submit(page, service, tmp_path)
    wait_for(lambda: service.child("stage.py", "second"), RUN_S)
    page.goto(f"{service.address}/runs/flow-run/{run}")
    press(page, "Cancel")
    page.wait_for_timeout(1500)
    page.screenshot(path=tmp_path / "cancel.png")
    press(page, "Cancel")
    assert service.ended(run) == "CANCELLED"
    (service.folder / "wait").unlink()
    press(page, "Retry")
    page.wait_for_timeout(1500)
    page.screenshot(path=tmp_path / "retry.png")
    press(page, "Retry")
    wait_for(lambda: service.run(run)["run_count"] == 2, RUN_S)
    assert service.ended(run) == "COMPLETED"
    page.reload()
    page.get_by_text("Completed").first.wait_for()
    page.screenshot(path=tmp_path / "completed.png")
    assert (service.folder / "data/second.txt").exists()


def test_a_paused_run_is_resumed_by_clicking(service, page, tmp_path):
    open_form(page, service, "pipeline")
    choose(page, "pause_after", "first")
    run = submit(page, service, tmp_path)
    wait_for(lambda: service.run(run)["state_name"] == "Suspended", RUN_S)
    page.goto(f"{service.address}/runs/flow-run/{run}")
    press(page, "Resume")
    page.get_by_text("Look at what it made").wait_for()
    page.screenshot(path=tmp_path / "resume.png")
    press(page, "Submit")
    assert service.ended(run) == "COMPLETED"
