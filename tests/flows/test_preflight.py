import json
import os
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from finer1.params import load_params
from flows import machine_rows
from flows.machine_rows import folder_rows, model_rows, plan_rows
from flows.preflight import examine_all
from flows.service_rows import service_rows
from flows.values import set_values

VARIABLES = ("MLFLOW_TRACKING_URI", "PREFECT_API_URL", "FINER1_SERVER", "FINER1_EVAL_SERVER",
             "FINER1_VLLM_SERVER", "FINER1_API_KEY")  # fmt: skip


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def base(project, repository):
    """The embedded base, whose sizes a plan goes by."""
    (project / "models/base").mkdir(parents=True)
    (project / "models/base/world").symlink_to(repository / "models/base/world")


@pytest.fixture
def params(project):
    return load_params(project / "params.yaml")


@pytest.fixture
def server():
    """A server that answers with the status that its path begins with, and keeps the headers."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.headers.get("Authorization"))
            self.send_response(int(self.path.split("/")[1]))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args):
            pass

    seen = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}", seen
        server.shutdown()


def by_subject(rows):
    return {row.subject: row for row in rows}


@pytest.mark.parametrize(
    ("status", "state"), [(200, "OK"), (404, "OK"), (401, "FAIL"), (503, "FAIL")]
)
def test_a_server_that_the_environment_names_is_asked(
    project, params, server, monkeypatch, status, state
):
    address, seen = server
    monkeypatch.setenv("FINER1_SERVER", f"http://me:secret@{address}/{status}/v1")
    monkeypatch.setenv("FINER1_API_KEY", "canary")
    row = by_subject(service_rows(project, params))["teacher"]
    assert row.state == state
    assert seen
    assert "secret" not in row.what + row.fix
    assert "canary" not in row.what + row.fix


@pytest.mark.parametrize(
    ("variable", "subject", "state"),
    [("MLFLOW_TRACKING_URI", "MLflow", "WARN"), ("PREFECT_API_URL", "Prefect", "FAIL"),
     ("FINER1_VLLM_SERVER", "vLLM", "FAIL")],
)  # fmt: skip
def test_a_silent_server_is_told_with_what_helps(
    project, params, monkeypatch, variable, subject, state
):
    monkeypatch.setenv(variable, "http://127.0.0.1:9/v1")
    row = by_subject(service_rows(project, params))[subject]
    assert row.state == state
    assert variable in row.fix


@pytest.mark.parametrize("address", ["http://me:secret@host:port/v1", "http://me:secret@[::1/v1"])
def test_what_is_no_address_is_a_row(project, params, monkeypatch, address):
    monkeypatch.setenv("FINER1_SERVER", address)
    row = by_subject(service_rows(project, params))["teacher"]
    assert (row.state, row.what) == ("FAIL", "FINER1_SERVER is no address of a server")


def test_the_model_is_looked_at_with_vllm_in_one_process(project):
    with machine_rows.examined_model(project, "cpu") as process:
        environ = Path(f"/proc/{process.pid}/environ").read_text().split("\0")
    assert "VLLM_ENABLE_V1_MULTIPROCESSING=0" in environ
    assert "VLLM_CPU_OMP_THREADS_BIND=nobind" in environ


def test_nothing_is_asked_where_the_environment_names_nothing(project, params):
    assert set(by_subject(service_rows(project, params))) == {"tracking store", "DVC's files"}


def test_a_teacher_that_the_settings_need_must_be_named(project):
    params = set_values(project / "params.yaml", {"cot.engine": "openai:large"})
    assert by_subject(service_rows(project, params))["teacher"].state == "FAIL"


def test_files_that_a_kill_left_unreadable_are_told(project, params):
    (project / ".dvc/tmp").mkdir(parents=True, exist_ok=True)
    (project / ".dvc/tmp/rwlock").write_text("")
    (project / "mlflow.db").write_text("no database, and long enough to be taken for one" * 9)
    rows = by_subject(service_rows(project, params))
    assert (rows["DVC's files"].state, rows["tracking store"].state) == ("WARN", "FAIL")
    assert "rwlock" in rows["DVC's files"].what


def test_a_folder_that_cannot_be_written_is_named(project, params, monkeypatch):
    def refuse(path, content):
        if "data" in path.parts:
            raise PermissionError(13, "Permission denied")

    (project / "data").mkdir(exist_ok=True)
    monkeypatch.setattr(machine_rows, "write_atomic", refuse)
    row = by_subject(folder_rows(project, params.paths))["write access"]
    assert row.state == "FAIL"
    assert f"{project / 'data'} (Permission denied)" in row.what


def test_a_cache_that_others_may_write_to_is_told(project, params):
    (project / ".dvc/cache").mkdir(parents=True, exist_ok=True)
    (project / ".dvc/cache").chmod(0o777)
    row = by_subject(folder_rows(project, params.paths))["cache folders"]
    assert row.state == "WARN"
    assert row.fix == f"chmod go-w {project / '.dvc/cache'}"


@pytest.mark.parametrize(
    ("free", "state"), [(10**12, "OK"), (2 * 10**9, "WARN"), (10**6, "FAIL")]
)  # the embedded default is planned to take 0.1 GiB of disk
def test_free_disk_is_held_against_the_plan(project, params, monkeypatch, free, state):
    monkeypatch.setattr(
        machine_rows.shutil, "disk_usage", lambda path: type("U", (), {"free": free})
    )
    assert by_subject(plan_rows(project, params))["disk"].state == state


def test_a_model_that_takes_too_long_is_left_and_told():
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    start = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as p:
        rows = list(model_rows(p, start + 0.2))
        p.kill()
    assert [row.state for row in rows] == ["WARN"]
    assert time.monotonic() - start < 30


def test_a_model_whose_process_dies_is_a_failure_with_its_last_words():
    command = [sys.executable, "-c", "import sys; sys.exit('no torch here')"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as p:
        rows = list(model_rows(p, time.monotonic() + 60))
    assert rows[0].state == "FAIL"
    assert "no torch here" in rows[0].what


def test_the_fast_check_passes_here_and_changes_nothing(project):
    before = sorted(path.name for path in project.iterdir())
    rows = list(examine_all(project, True, 0.0))
    assert {"python", "write access", "memory", "disk"} <= {row.subject for row in rows}
    assert all(row.fix for row in rows if row.state != "OK")
    assert sorted(path.name for path in project.iterdir()) == before


def test_the_check_loads_no_torch_beside_the_process_that_does(repository):
    code = (
        "import sys, flows.machine_rows, flows.service_rows;"
        "print(sorted({'torch', 'transformers', 'sklearn'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, timeout=300)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr


@pytest.mark.slow
def test_the_whole_check_ends_within_its_minute(repository):
    if os.getloadavg()[0] > 2 * (os.cpu_count() or 1):
        pytest.skip("other programs keep this machine busy; a minute of it says nothing")
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", "check", "--json"],
        cwd=repository, capture_output=True, text=True, timeout=180,
    )  # fmt: skip
    rows = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout
    assert {"tiny model", "engines", "image", "training step"} <= {row["subject"] for row in rows}
    assert time.monotonic() - start < 90  # a minute, and the start of Python
