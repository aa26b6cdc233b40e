import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from tasks.tracking import (
    EXPERIMENT,
    find_journals,
    prepare_store,
    start_pipeline_run,
    start_run,
    sync,
)
from tests.tasks.tracking.faulty_server import FAULTS, faulty_server
from tests.tasks.tracking.test_journal import full_disk

RED = Image.new("RGB", (8, 8), (255, 0, 0))


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch):
    for name in ("MLFLOW_TRACKING_URI", "FINER1_PARENT_RUN", "FINER1_FLOW_RUN", "DVC_EXP_NAME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def store(tracking_store):
    """A project folder whose tracking store exists."""
    return tracking_store


def client_of(root):
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{root / 'mlflow.db'}")


def runs_of(root, name):
    client = client_of(root)
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    return client.search_runs([experiment], f"attributes.run_name = '{name}'")


def test_metrics_over_steps_and_params_reach_the_store(store):
    tracker = start_run("steps", {"sft.lr": 0.1}, {"stage_key": "k"}, store / "steps.jsonl", store)
    tracker.log({"loss/total": 2.0}, 1)
    tracker.log({"loss/total": 1.0}, 2)
    tracker.finish({"sft/loss": 1.0}, "FINISHED")
    (run,) = runs_of(store, "steps")
    history = client_of(store).get_metric_history(run.info.run_id, "loss/total")
    assert [(point.step, point.value) for point in history] == [(1, 2.0), (2, 1.0)]
    assert run.data.params == {"sft.lr": "0.1"}
    assert run.data.metrics["sft/loss"] == 1.0
    assert run.data.tags["stage_key"] == "k"
    assert run.info.status == "FINISHED"


def test_metrics_lie_in_the_local_file_first(store):
    tracker = start_run("local", {}, {}, store / "local.jsonl", store)
    tracker.log({"loss/total": 2.0}, 1)
    assert json.loads((store / "local.jsonl").read_text()) == {
        "step": 1,
        "metrics": {"loss/total": 2.0},
    }
    tracker.finish({}, "FINISHED")


def test_a_torn_last_line_is_cut(store):
    (store / "torn.jsonl").write_text('{"step": 1, "metrics": {}}\n{"step": 2, "met')
    start_run("torn", {}, {}, store / "torn.jsonl", store).finish({}, "FINISHED")
    assert (store / "torn.jsonl").read_text() == '{"step": 1, "metrics": {}}\n'


def test_tables_keep_their_images(store):
    tracker = start_run("tables", {}, {}, store / "tables.jsonl", store)
    tracker.log_table("samples", [{"image": RED, "answer": "a"}, {"image": RED, "answer": "b"}])
    tracker.log_image("rollouts", RED, 3)
    tracker.finish({}, "FINISHED")
    (run,) = runs_of(store, "tables")
    artifacts = {item.path for item in client_of(store).list_artifacts(run.info.run_id)}
    assert artifacts == {"images", "samples.json", "table_images"}
    # The page of tables goes by this tag.
    assert json.loads(run.data.tags["mlflow.loggedArtifacts"]) == [
        {"path": "samples.json", "type": "table"}
    ]


def test_stages_are_children_of_the_pipelines_run(store, monkeypatch):
    pipeline = start_pipeline_run("pipeline", {}, store, {"flow_run": "flow-1"})
    monkeypatch.setenv("FINER1_PARENT_RUN", pipeline.key)
    monkeypatch.setenv("FINER1_FLOW_RUN", "flow-1")
    start_run("child", {}, {}, store / "child.jsonl", store).finish({}, "FINISHED")
    pipeline.finish({}, "FINISHED")
    (run,) = runs_of(store, "child")
    assert run.data.tags["mlflow.parentRunId"] == pipeline.run_id()
    assert run.data.tags["flow_run"] == "flow-1"
    parent = client_of(store).get_run(pipeline.run_id())
    assert parent.data.tags["flow_run"] == "flow-1"


def test_a_failed_stage_has_a_failed_run(store):
    tracker = start_run("failing", {}, {}, store / "failing.jsonl", store)
    tracker.finish({}, "FAILED")
    assert [run.info.status for run in runs_of(store, "failing")] == ["FAILED"]


def test_a_stage_that_finished_on_a_full_disk_has_a_finished_run(store, capsys):
    tracker = start_run("full", {}, {}, store / "full.jsonl", store)
    run = tracker.run_id()
    assert run is not None
    with full_disk(tracker._journal.folder / "journal.jsonl", 10):
        tracker.log_apart({"loss/total": 2.0}, 1)
    tracker.finish({}, "FINISHED")
    assert "the run's records end here" in capsys.readouterr().err
    assert client_of(store).get_run(run).info.status == "FINISHED"
    assert find_journals(store) == []


def test_a_run_that_is_deleted_while_it_goes_on_ends_its_records_at_once(store, capsys):
    tracker = start_run("deleted", {}, {}, store / "deleted.jsonl", store)
    run = tracker.run_id()
    client_of(store).delete_run(run)
    start = time.monotonic()
    tracker.log({"loss/total": 2.0}, 1)
    tracker.finish({}, "FINISHED")
    assert time.monotonic() - start < 20.0
    assert "the run was deleted in MLflow" in capsys.readouterr().err
    assert find_journals(store) == []


def test_a_folder_that_takes_no_journal_fails_no_stage(store, monkeypatch, tmp_path, capsys):
    (tmp_path / "logs").write_text("a file where the folder should be")
    monkeypatch.setenv("FINER1_HOME", str(tmp_path))
    tracker = start_run("elsewhere", {}, {}, store / "elsewhere.jsonl", store)
    tracker.finish({}, "FINISHED")
    assert "the run's journal is in" in capsys.readouterr().err
    assert [run.info.status for run in runs_of(store, "elsewhere")] == ["FINISHED"]


def test_a_model_that_cannot_be_hashed_ends_the_records_alone(store, tmp_path, capsys):
    tracker = start_run("odd", {}, {}, store / "odd.jsonl", store)
    (tmp_path / "empty").mkdir()
    tracker.log_model(tmp_path / "empty", {"categories": ["bird"]})
    tracker.finish({}, "FINISHED")
    assert "the run's records end here" in capsys.readouterr().err
    assert [run.info.status for run in runs_of(store, "odd")] == ["FINISHED"]


def test_an_end_that_could_not_be_recorded_is_still_told(store, monkeypatch):
    tracker = start_run("no end", {}, {}, store / "end.jsonl", store)
    run = tracker.run_id()
    append = tracker._journal.append

    def append_but_the_end(kind, **content):
        if kind == "end":
            raise OSError("no space left")
        append(kind, **content)

    monkeypatch.setattr(tracker._journal, "append", append_but_the_end)
    tracker.finish({}, "FINISHED")
    assert client_of(store).get_run(run).info.status == "FINISHED"


@pytest.mark.slow
def test_what_a_killed_process_was_sending_is_continued(store):
    # It dies when the store has taken the step 1 and has not said so.
    script = (
        "import os, sys; from pathlib import Path; from mlflow import MlflowClient\n"
        "from tasks.tracking import start_run\n"
        "send = MlflowClient.log_batch\n"
        "def send_and_die(self, run, metrics=(), params=()):\n"
        "    send(self, run, metrics=metrics, params=params)\n"
        "    if any(metric.key == 'loss/total' for metric in metrics): os.kill(os.getpid(), 9)\n"
        "MlflowClient.log_batch = send_and_die\n"
        "root = Path(sys.argv[1])\n"
        "tracker = start_run('killed', {'a': 1}, {}, root / 'killed.jsonl', root)\n"
        "tracker.run_id()\n"
        "for step in (1, 2, 3): tracker.log({'loss/total': step}, step)\n"
        "tracker.finish({}, 'FINISHED')"
    )
    subprocess.run([sys.executable, "-c", script, str(store)], check=False)
    assert [run.info.status for run in runs_of(store, "killed")] == ["RUNNING"]
    start_run("next", {}, {}, store / "next.jsonl", store).finish({}, "FINISHED")
    assert [run.info.status for run in runs_of(store, "killed")] == ["KILLED"]
    (found,) = sync(store)
    assert (found.state, found.num_left) == ("sent", 0)
    (run,) = runs_of(store, "killed")
    history = client_of(store).get_metric_history(run.info.run_id, "loss/total")
    steps = [point.step for point in history]
    assert steps == sorted(set(steps))
    assert 1 in steps
    assert run.info.status in ("KILLED", "FINISHED")
    assert list(sync(store)) == []


@pytest.mark.slow
def test_a_dead_server_costs_no_secret(tmp_path, monkeypatch, capsys):
    with faulty_server("refuses") as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address.replace("//", "//user:secret@"))
        tracker = start_run("dead", {}, {}, tmp_path / "dead.jsonl", tmp_path)
        tracker.log({"loss/total": 2.0}, 1)
        tracker.finish({}, "FINISHED")
    assert (tmp_path / "dead.jsonl").read_text()
    told = capsys.readouterr().err
    assert "`finer1 sync` brings it there" in told
    assert "secret" not in told
    kept = [path for path in (tmp_path / "logs/tracking").rglob("*") if path.is_file()]
    assert kept
    assert not any(b"secret" in path.read_bytes() for path in kept)


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_no_server_costs_a_run_more_than_five_seconds(tmp_path, monkeypatch, fault):
    with faulty_server(fault) as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        tracker = start_run("x", {"a": 1}, {}, tmp_path / "log.jsonl", tmp_path)
        tracker.run_id()  # uses up the patience that finish would have
        start = time.monotonic()
        for step in range(50):
            tracker.log({"loss/total": step}, step)
        tracker.finish({"a/b": 1.0}, "FINISHED")
        # run_id waited five seconds at most; half a second for 51 lines on a busy machine.
        assert time.monotonic() - start < 0.5
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    tracker._thread.join(20)


@pytest.mark.slow
def test_eight_processes_may_open_a_fresh_store_at_once(tmp_path):
    script = (
        "import sys; from pathlib import Path; from tasks.tracking import start_run\n"
        "root, name = Path(sys.argv[1]), sys.argv[2]\n"
        "tracker = start_run(name, {}, {}, root / f'{name}.jsonl', root)\n"
        "for step in range(20): tracker.log({'loss/total': step}, step)\n"
        "tracker.finish({}, 'FINISHED')"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path), f"p{index}"])
        for index in range(8)
    ]
    assert [process.wait(600) for process in processes] == [0] * 8
    client = client_of(tmp_path)
    for index in range(8):
        (run,) = runs_of(tmp_path, f"p{index}")
        assert run.info.status == "FINISHED"
        assert len(client.get_metric_history(run.info.run_id, "loss/total")) == 20


def test_a_broken_store_is_named_with_the_remedy(tmp_path):
    (tmp_path / "mlflow.db").write_text("no database")
    with pytest.raises(RuntimeError, match=r"mlflow\.db is no usable MLflow store .* move it away"):
        prepare_store(tmp_path)


@pytest.mark.slow
def test_a_kill_while_the_store_is_made_leaves_none(tmp_path):
    program = (
        "import os; from pathlib import Path; from mlflow import MlflowClient;"
        "MlflowClient.create_experiment = lambda *_, **__: os.kill(os.getpid(), 9);"
        "from tasks.tracking import prepare_store; prepare_store(Path.cwd())"
    )
    root = Path(__file__).parents[3]
    environ = {**os.environ, "PYTHONPATH": str(root)}
    ended = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environ, timeout=300)
    assert ended.returncode == -9
    assert not (tmp_path / "mlflow.db").exists()
    prepare_store(tmp_path)
    assert client_of(tmp_path).get_experiment_by_name(EXPERIMENT) is not None
