"""`python -m flows.deploy` in a folder, and what a user does at its server."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress

import httpx
import psutil

START_S, RUN_S = 900, 1800
"""Far deadlines: every wait ends with what it waits for, on a loaded machine, too."""
AT_REST = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


class Service:
    """The command in a folder, and the server's API."""

    def __init__(self, folder, repository, **more):
        self.port = free_port()
        self.folder, self.address = folder, f"http://127.0.0.1:{self.port}"
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "FINER1_"))}
        self.environ = {
            **keep,
            "PYTHONPATH": str(repository),
            "PYTHONUNBUFFERED": "1",
            "PREFECT_WORKER_QUERY_SECONDS": "2",
            **more,
        }
        words = [sys.executable, "-m", "flows.deploy", "--port", str(self.port)]
        with (folder / "deploy.log").open("w") as log:
            self.process = subprocess.Popen(
                words, cwd=folder, env=self.environ, stdout=log, stderr=subprocess.STDOUT
            )

    def wait_until_open(self):
        wait_for(lambda: "open " in self.output() or self.process.poll() is not None, START_S)
        assert self.process.poll() is None, self.output()

    def end(self):
        """End it as Ctrl-C does, and whatever that leaves; returns the exit code.

        By the other signal: an interrupt is ignored by what a shell started in the background.
        """
        tree = self.tree()
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(300)
        finally:
            self.process.kill()
            for process in tree:
                with suppress(psutil.Error):
                    process.kill()

    def output(self):
        return (self.folder / "deploy.log").read_text()

    def post(self, path, body):
        return self._ask("POST", path, json=body)

    def get(self, path):
        return self._ask("GET", path)

    def _ask(self, method, path, **more):
        """Answer of the server, which is asked again when its database is busy, as clients do."""
        until = time.monotonic() + RUN_S
        while True:
            answer = httpx.request(method, f"{self.address}/api{path}", timeout=RUN_S, **more)
            if answer.status_code != 503 or time.monotonic() > until:
                break
            time.sleep(1)
        answer.raise_for_status()
        return answer.json()

    def deployment(self, name):
        """Id of a deployment."""
        (found,) = self.post("/deployments/filter", {"deployments": {"name": {"any_": [name]}}})
        return found["id"]

    def start(self, deployment, **parameters):
        body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        path = f"/deployments/{self.deployment(deployment)}/create_flow_run"
        return self.post(path, body)["id"]

    def prefect(self, *words):
        """Output of a command of Prefect in a shell that knows the server."""
        environ = {**self.environ, "PREFECT_API_URL": f"{self.address}/api", "COLUMNS": "200"}
        done = subprocess.run(
            [sys.executable, "-m", "prefect", *words],
            cwd=self.folder,
            env=environ,
            capture_output=True,
            text=True,
            timeout=RUN_S,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def runs(self):
        return {run["id"] for run in self.post("/flow_runs/filter", {})}

    def run(self, run):
        return self.get(f"/flow_runs/{run}")

    def state(self, run):
        return self.run(run)["state_type"]

    def set_state(self, run, kind, name=None):
        """What the buttons of the UI do."""
        state = {"type": kind, **({"name": name} if name else {})}
        return self.post(f"/flow_runs/{run}/set_state", {"state": state})

    def retry(self, run):
        """Start a run again; returns when it has ended again."""
        attempt = self.run(run)["run_count"]
        self.set_state(run, "SCHEDULED", "AwaitingRetry")
        return self.ended(run, attempt + 1)

    def ended(self, run, attempt=1):
        """The state in which a run came to rest at its first or a later attempt."""
        wait_for(lambda: self.run(run)["run_count"] >= attempt and self.is_at_rest(run), RUN_S)
        return self.state(run)

    def is_at_rest(self, run):
        return self.state(run) in AT_REST

    def wait_until_suspended(self, run):
        wait_for(lambda: self.state(run) == "PAUSED" or self.is_at_rest(run), RUN_S)
        assert self.run(run)["state_name"] == "Suspended"

    def num_suspensions(self, run):
        states = self.get(f"/flow_run_states/?flow_run_id={run}")
        return sum(state["name"] == "Suspended" for state in states)

    def resume(self, run, decision):
        """Answer to a pause."""
        words = {"decision": decision, "note": "by hand"}
        self.post(f"/flow_runs/{run}/resume", {"run_input": words})

    def is_open(self):
        """Whether the server answers."""
        with suppress(httpx.HTTPError):
            return httpx.get(f"{self.address}/api/health", timeout=5).json() is True
        return False

    def tree(self):
        return psutil.Process(self.process.pid).children(recursive=True)

    def child(self, *words):
        """The process of the service whose command has all the words."""
        for process in self.tree():
            with suppress(psutil.Error):
                if all(word in process.cmdline() for word in words):
                    return process
        return None

    def wait_for_child(self, *words):
        wait_for(lambda: self.child(*words), RUN_S)
        return self.child(*words)

    def artifacts(self, run):
        found = self.post("/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run]}}})
        return {item["key"]: item for item in found}

    def log(self, run):
        """What the run and its task runs have logged."""
        lines, place = [], 0
        while True:
            body = {"logs": {"flow_run_id": {"any_": [run]}}, "offset": place, "limit": 200}
            found = self.post("/logs/filter", {**body, "sort": "TIMESTAMP_ASC"})
            lines += [item["message"] for item in found]
            place += len(found)
            if len(found) < 200:
                return "\n".join(lines)

    def task_states(self, run):
        """Names of the task runs of a run and of the states in which they are."""
        found = self.post("/task_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})
        return {item["name"]: item["state_name"] for item in found}


def serve(folder, repository, **more):
    """A service, open; it must end well."""
    service = Service(folder, repository, **more)
    try:
        service.wait_until_open()
        yield service
    finally:
        code = service.end()
    assert code == 0


def wait_for(is_done, seconds):
    """Return when it is so."""
    until = time.monotonic() + seconds
    while not is_done():
        assert time.monotonic() < until, "too slow"
        time.sleep(0.5)


def is_working(process):
    """Whether a process is neither gone nor dead and not yet reaped."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
