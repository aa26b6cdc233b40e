import shutil
import time

import pytest
from PIL import Image

from tasks.tracking import find_journals, open_store, start_pipeline_run, start_run, sync
from tasks.tracking.journal import journals_folder, new_journal
from tasks.tracking.sync import send_left_behind
from tests.tasks.tracking.faulty_server import faulty_server
from tests.tasks.tracking.test_run import client_of, runs_of

RED = Image.new("RGB", (8, 8), (255, 0, 0))


@pytest.fixture
def store(tracking_store, monkeypatch):
    """A project folder whose tracking store exists, and no journal."""
    for name in ("MLFLOW_TRACKING_URI", "FINER1_PARENT_RUN", "FINER1_HOME", "DVC_EXP_NAME"):
        monkeypatch.delenv(name, raising=False)
    list(sync(tracking_store))
    return tracking_store


@pytest.fixture
def away(store):
    """Do something while the server is away."""

    def away(act):
        with pytest.MonkeyPatch.context() as patch, faulty_server("refuses") as address:
            patch.setenv("MLFLOW_TRACKING_URI", address)
            tracker = act()
            tracker._thread.join(20)  # it lets go of the journal

    return away


def test_what_a_server_missed_is_sent_in_order_and_once(store, away):
    def act():
        tracker = start_run("missed", {"sft.lr": 0.1}, {}, store / "missed.jsonl", store)
        for step in (1, 2, 3):
            tracker.log({"loss/total": 1 / step}, step)
        tracker.log_table("samples", [{"image": RED, "answer": "a"}])
        tracker.log_image("sheet", RED, 2)
        tracker.log_inputs({"data/splits.jsonl": "0" * 32})
        tracker.finish({"sft/loss": 0.5}, "FINISHED")
        return tracker

    away(act)
    assert runs_of(store, "missed") == []
    (found,) = sync(store)
    # start, three steps, table, image, inputs, last metrics, end
    assert (found.state, found.num_sent, found.num_left) == ("sent", 9, 0)
    (run,) = runs_of(store, "missed")
    client = client_of(store)
    history = client.get_metric_history(run.info.run_id, "loss/total")
    assert [(point.step, point.value) for point in history] == [(1, 1.0), (2, 0.5), (3, 1 / 3)]
    assert run.data.params == {"sft.lr": "0.1"}
    assert run.info.status == "FINISHED"
    assert [item.dataset.name for item in run.inputs.dataset_inputs] == ["data/splits.jsonl"]
    artifacts = {item.path for item in client.list_artifacts(run.info.run_id)}
    assert artifacts == {"images", "samples.json", "table_images"}
    assert list(sync(store)) == []
    assert find_journals(store) == []


@pytest.mark.slow
def test_a_second_sending_lands_on_the_first(store, away):
    def act():
        tracker = start_run("twice", {"a": 1}, {}, store / "twice.jsonl", store)
        tracker.log({"loss/total": 1.0, "loss/nan": float("nan")}, 1)
        tracker.log_table("samples", [{"image": RED, "answer": "a"}])
        tracker.log_image("sheet", RED, 2)
        tracker.log_inputs({"data/splits.jsonl": "0" * 32})
        tracker.finish({}, "FINISHED")
        return tracker

    away(act)
    (folder,) = find_journals(store)
    kept = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")}
    list(sync(store))
    before = everything(store, "twice")
    for path, content in kept.items():  # as if nothing had been known of the first sending
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    (found,) = sync(store)
    assert found.state == "sent"
    assert everything(store, "twice") == before
    assert len(before["points"]) == 2


def everything(store, name):
    """All that the store has of the one run of this name."""
    (run,) = runs_of(store, name)
    client = client_of(store)
    folders = ("", "images", "table_images/samples")
    return {
        "points": sorted(
            (key, point.step, str(point.value), point.timestamp)
            for key in run.data.metrics
            for point in client.get_metric_history(run.info.run_id, key)
        ),
        "params": run.data.params,
        "tags": run.data.tags,
        "status": run.info.status,
        "files": [i.path for f in folders for i in client.list_artifacts(run.info.run_id, f)],
        "inputs": [(item.dataset.name, item.dataset.digest) for item in run.inputs.dataset_inputs],
    }


@pytest.mark.slow
def test_a_stage_hangs_below_the_pipelines_run_also_when_both_come_later(store, away, monkeypatch):
    def act():
        pipeline = start_pipeline_run("above", {}, store, {})
        monkeypatch.setenv("FINER1_PARENT_RUN", pipeline.key)
        below = start_run("below", {}, {}, store / "below.jsonl", store)
        below.finish({}, "FINISHED")
        below._thread.join(20)
        pipeline.finish({}, "FINISHED")
        return pipeline

    away(act)
    first, second = find_journals(store)
    # The clock was set back between them.
    second.rename(second.with_name(second.name.replace(second.name[:20], "0" * 20)))
    assert {found.state for found in sync(store)} == {"sent"}
    (above,), (below,) = runs_of(store, "above"), runs_of(store, "below")
    assert below.data.tags["mlflow.parentRunId"] == above.info.run_id
    assert first != second


@pytest.mark.slow
def test_a_run_that_was_deleted_is_dropped(store, away):
    away(lambda: finished("deleted", store))
    (folder,) = find_journals(store)
    content = (folder / "journal.jsonl").read_bytes()
    list(sync(store))
    (run,) = runs_of(store, "deleted")
    client_of(store).delete_run(run.info.run_id)
    folder.mkdir()
    (folder / "journal.jsonl").write_bytes(content)
    assert [found.state for found in sync(store)] == ["deleted"]
    assert find_journals(store) == []


def test_a_run_that_goes_on_is_left_alone(store):
    tracker = start_run("goes on", {}, {}, store / "on.jsonl", store)
    assert [found.state for found in sync(store)] == ["held"]
    tracker.finish({}, "FINISHED")
    assert list(sync(store)) == []


@pytest.mark.slow
def test_a_server_that_is_still_away_is_asked_no_more_than_needed(store, away, monkeypatch):
    away(lambda: finished("one", store))
    away(lambda: finished("two", store))
    with faulty_server("refuses") as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        (found,) = sync(store)
    assert found.state == "failed"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert [found.state for found in sync(store)] == ["sent", "sent"]


def left_behind(name, store, kind=None, **content):
    """The journal of a run that has ended, with a further record."""
    journal, _ = new_journal(
        journals_folder(store), name, {"params": {}, "tags": {}, "parent": None}
    )
    if kind:
        journal.append(kind, **content)
    journal.append("end", status="FINISHED")
    journal.close()
    return journal.folder


def test_journals_that_can_never_be_sent_hold_up_no_other(store):
    for name in ("bad 1", "bad 2"):
        left_behind(name, store, "artifact", file="files/000001/lost.txt", to=None)
    with (left_behind("bad 3", store) / "journal.jsonl").open("a") as lines:
        lines.write("no json\n")
    left_behind("good", store)
    assert [found.state for found in sync(store)] == ["failed", "failed", "failed", "sent"]
    left_behind("better", store)
    send_left_behind(store, open_store(store), lambda: False)
    for name in ("good", "better"):
        assert [run.info.status for run in runs_of(store, name)] == ["FINISHED"]
    for folder in find_journals(store):
        shutil.rmtree(folder)


def test_a_journal_that_went_since_it_was_listed_is_none_that_waits(store):
    left_behind("listed", store)
    folders = find_journals(store)
    list(sync(store))
    assert [found.state for found in sync(store, folders)] == ["held"]


@pytest.mark.slow
def test_the_next_pipeline_run_brings_what_was_left(store, away):
    away(lambda: finished("left", store))
    pipeline = start_pipeline_run("next", {}, store, {})
    pipeline.run_id()
    while find_journals(store)[:-1]:  # all but its own
        time.sleep(0.05)
    pipeline.finish({}, "FINISHED")
    assert [run.info.status for run in runs_of(store, "left")] == ["FINISHED"]


def finished(name, store):
    tracker = start_run(name, {}, {}, store / f"{name}.jsonl", store)
    tracker.finish({}, "FINISHED")
    return tracker
