"""Prefect's server dies while a stage of a flow run works: what the stage writes is the same."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager, suppress

import psutil
import pytest

from flows.deploy import is_prefect, server_command
from tests.torture import graph
from tests.torture.moments import below, words

pytestmark = pytest.mark.slow
FAR_S = 1800
WAIT = """
with open("started", "a") as file:
    file.write(sys.argv[1] + "\\n")
while Path("wait").exists() and Path("wait").read_text() == sys.argv[1]:
    time.sleep(0.05)
"""


class Server:
    """A Prefect server that can be killed and started again on the same database."""

    def __init__(self, folder, port):
        self.api = f"http://127.0.0.1:{port}/api"
        self._folder, self._port, self._process = folder, port, None

    def start(self):
        log = (self._folder / "server.log").open("a")
        environ = {**os.environ, "PREFECT_HOME": str(self._folder / "home")}
        self._process = subprocess.Popen(
            server_command(self._port), env=environ, stdout=log, stderr=log, start_new_session=True
        )
        wait_for(lambda: is_prefect(self.api))

    def kill(self):
        if self._process:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, 9)
            self._process.wait(60)


def wait_for(is_so):
    until = time.monotonic() + FAR_S
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Server(tmp_path_factory.mktemp("prefect"), port)
    yield server
    server.kill()


@pytest.fixture
def make_project(tmp_path, repository):
    """Makes a project of light stages, each of which waits while the file `wait` has its name."""
    before = dict(os.environ)
    graph.prepare_environment()

    def make(name):
        folder = graph.make_project(tmp_path / name, repository)
        text = (folder / "stage.py").read_text()
        (folder / "stage.py").write_text(
            text.replace("kind = sys.argv[1]", WAIT + "kind = sys.argv[1]")
        )
        return folder

    yield make
    os.environ.clear()
    os.environ.update(before)


@contextmanager
def flow_run(folder, api):
    """The process of a flow run in the folder."""
    environ = {**os.environ, "PREFECT_API_URL": api, "PREFECT_HOME": str(folder / ".prefect")}
    with (folder / "output").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.pipeline"],
            cwd=folder, env=environ, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        yield process
    finally:
        for each in below(process.pid):
            with suppress(psutil.Error):
                each.kill()
        process.kill()
        process.wait(60)


def is_at(stage, process):
    assert process.poll() is None
    return any(words(each)[-2:] == ["stage.py", stage] for each in below(process.pid))


@pytest.mark.parametrize("stage", ["rows", "files", "table"])
def test_a_stage_ends_with_the_same_bytes_when_the_server_dies(server, make_project, stage):
    whole = make_project("whole")
    assert graph.in_child(lambda: graph._quiet(whole, graph.finer1_run)) == 0
    expected = graph.artifacts(whole)
    folder = make_project("flow")
    (folder / "wait").write_text(stage)
    server.start()
    with flow_run(folder, server.api) as process:
        wait_for(lambda: is_at(stage, process))
        server.kill()
        (folder / "wait").unlink()
        code = process.wait(FAR_S)
    said = (folder / "output").read_text()
    done = graph.artifacts(folder)
    made = {"rows": "data/rows.jsonl", "files": "models/files/0.txt", "table": "data/table.json"}
    assert done[made[stage]] == expected[made[stage]]
    assert code == 3, said[-3000:]
    assert f"the Prefect server {server.api} does not answer" in said.splitlines()[-1]
    assert graph.in_child(lambda: graph._quiet(folder, graph.finer1_run)) == 0
    assert graph.artifacts(folder) == expected
    # Each stage was started once: the next run found finished what the flow run had done.
    assert sorted((folder / "started").read_text().split()) == ["files", "rows", "table"]
