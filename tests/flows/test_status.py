import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import asdict, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from typer.testing import CliRunner

from finer1.files import write_json
from flows import status
from flows.cli import app
from flows.dag import Stage
from tasks.attempts import Attempt, Attempts, latest_attempt, path_of
from tasks.identity import key_of
from tasks.origin import process_tags
from tasks.tracked import tracked_runs

NAMES = ("download", "sft", "tapo", "score")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Four stages in a row, of which DVC finds changed what the returned function is told."""
    (tmp_path / "dvc.yaml").write_text("stages: {}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    stages = [Stage(name, NAMES[:place][-1:], 0, False, 60.0) for place, name in enumerate(NAMES)]
    monkeypatch.setattr("flows.dag.load_stages", lambda root: stages)
    monkeypatch.setattr("flows.dag.is_readable_lock", lambda path: True)

    def changed(*names):
        monkeypatch.setattr("flows.dag.changed_stages", lambda root: set(names))
        (tmp_path / "logs").mkdir(exist_ok=True)
        lines = [f"  {name}: {{cmd: run {name}, deps: [], params: {{}}}}" for name in NAMES[:3]]
        (tmp_path / "dvc.lock").write_text("\n".join(["stages:", *lines]))
        return tmp_path

    return changed


def attempt(root, stage, **changes):
    write_json(path_of(stage, root), asdict(replace(Attempt(process_tags(), "noon"), **changes)))


def states(root):
    found, following = status.project_status(root)
    return [(item.state, item.why) for item in found], following


def test_all_is_done_and_nothing_follows(project):
    assert states(project()) == ([("done", "")] * 4, None)


def test_a_changed_stage_and_those_after_it_are_stale(project):
    found, following = states(project("tapo"))
    assert found == [
        ("done", ""),
        ("done", ""),
        ("stale", "an input, setting or output has changed"),
        ("stale", "after a stage that will run"),
    ]
    assert following.endswith("finer1 run, about 2 min on two cores")


def test_a_stage_without_a_result_never_ran(project):
    assert states(project("score"))[0][3] == ("stale", "never ran")


def test_a_failure_is_told_with_its_sentence_and_its_log(project):
    root = project("sft")
    attempt(root, "sft", outcome="failed", said="sft.lr is too high")
    (root / "logs/sft.log").write_text("x")
    found, _ = status.project_status(root)
    assert status.lines_of(found[1]) == [
        "  sft           failed",
        "      sft.lr is too high",
        "      log: logs/sft.log",
    ]


def test_a_failure_that_was_made_good_is_none(project):
    root = project()
    attempt(root, "sft", outcome="failed", said="sft.lr is too high")
    assert states(root)[0][1] == ("done", "")


def test_a_stage_that_runs_tells_how_far_it_is(project):
    root = project("sft")
    script = "import sys, time; print('up', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        born = {"pid": str(other.pid), "born": status_birth(other.pid)}
        began = "2026-01-02T03:04:05+00:00"
        attempt(root, "sft", process={**process_tags(), **born}, since=began)
        (root / "logs/sft.log").write_text("begin\nsft: 3/9 steps, 2 min left\r\n\n")
        found, following = status.project_status(root)
        said = CliRunner().invoke(app, ["status"]).output
        content = json.loads(CliRunner().invoke(app, ["status", "--json"]).output)
        # A stage that was not started by `finer1 run` has no log; that of a run before is older.
        os.utime(root / "logs/sft.log", (0, 0))
        (of_before,) = (x for x in status.project_status(root)[0] if x.stage == "sft")
        other.kill()
    assert of_before.line is None
    assert status.lines_of(found[1])[:2] == [
        f"  sft           running              process {other.pid} since {began}",
        "      sft: 3/9 steps, 2 min left",
    ]
    assert following is content["next"] is None
    assert "wait, or follow the logs" in said
    # Now that it is gone, it was killed.
    assert states(root)[0][1] == (
        "failed",
        f"was killed (process {other.pid} of {began} is gone)",
    )


def status_birth(pid):
    from tasks.origin import process_birth

    return process_birth(pid)


def test_how_long_it_took_and_the_run_in_mlflow_are_those_of_the_result(project):
    root = project()
    key = key_of("run sft", {}, {})
    attempt(root, "sft", outcome="done", seconds=75.0, stage_key=key)
    attempt(root, "tapo", outcome="done", seconds=75.0, stage_key="of other inputs")
    with closing(sqlite3.connect(root / "mlflow.db")) as store:
        store.execute("CREATE TABLE tags (run_uuid, key, value)")
        store.execute("CREATE TABLE runs (run_uuid, lifecycle_stage, start_time)")
        for run, start in (("later", 2), ("first", 1)):
            store.execute("INSERT INTO tags VALUES (?, 'stage_key', ?)", (run, key))
            store.execute("INSERT INTO runs VALUES (?, 'active', ?)", (run, start))
        store.commit()
    found, _ = status.project_status(root)
    assert status.lines_of(found[1]) == [
        "  sft           done     1 min 15 s",
        "      MLflow run later",
    ]
    assert status.lines_of(found[2]) == ["  tapo          done"]


def test_a_store_that_is_not_there_tells_nothing_and_makes_none(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert tracked_runs({"a"}, tmp_path) == {}
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_away_tells_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert tracked_runs({"a"}, tmp_path) == {}


def test_an_address_of_a_run_has_no_password(tmp_path, monkeypatch):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.answer({"experiment": {"experiment_id": "1"}})

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            tags = [{"key": "stage_key", "value": "a"}]
            self.answer({"runs": [{"info": {"run_id": "r"}, "data": {"tags": tags}}]})

        def answer(self, content):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        place = f"127.0.0.1:{server.server_port}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@{place}")
        found = tracked_runs({"a"}, tmp_path)
        server.shutdown()
    assert found == {"a": f"http://{place}/#/experiments/1/runs/r"}


def test_what_is_no_address_tells_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@host:port")
    assert tracked_runs({"a"}, tmp_path) == {}


def test_programs_get_json(project):
    project("score")
    done = CliRunner().invoke(app, ["status", "--json"])
    content = json.loads(done.output)
    assert [item["state"] for item in content["stages"]] == ["done", "done", "done", "stale"]
    assert content["next"].endswith("finer1 run, about 60 s on two cores")


def test_an_attempt_is_kept_from_its_beginning_to_its_end(tmp_path):
    attempts = Attempts("sft", tmp_path, "flow")
    attempts.key("k")
    begun = latest_attempt("sft", tmp_path)
    assert (begun.outcome, begun.stage_key, begun.flow_run) == ("running", "k", "flow")
    assert begun.is_alive
    attempts.end(3, "the disk is full")
    ended = latest_attempt("sft", tmp_path)
    assert (ended.outcome, ended.said, ended.is_alive) == ("failed", "the disk is full", False)


def test_a_broken_record_of_an_attempt_is_none(tmp_path):
    path_of("sft", tmp_path).parent.mkdir()
    path_of("sft", tmp_path).write_text("{")
    assert latest_attempt("sft", tmp_path) is None
