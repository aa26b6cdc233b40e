"""The registered model: versions, aliases, and the answer of `mlflow models serve`."""

import base64
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from PIL import Image

from tasks.tracking import registry, start_run
from tasks.tracking.journal import new_journal
from tasks.tracking.registry import (
    CANDIDATE,
    CHAMPION,
    MODEL,
    champion_answers,
    find_alias,
    find_weights,
    journal_model,
    make_champion,
)
from tests.tasks.tracking.test_run import client_of

pytestmark = pytest.mark.slow
ASKING = {
    "strategy": "trained",
    "system": "",
    "categories": ["bird"],
    "max_tokens": 8,
    "temperature": 1.0,
    "top_p": 0.99,
}


@pytest.fixture
def store(tmp_path, tracking_store, monkeypatch):
    """A project folder with a store of its own."""
    for name in ("MLFLOW_TRACKING_URI", "FINER1_PARENT_RUN", "FINER1_HOME", "DVC_EXP_NAME"):
        monkeypatch.delenv(name, raising=False)
    shutil.copy(tracking_store / "mlflow.db", tmp_path)
    return tmp_path


def register(store, folder):
    tracker = start_run("tapo", {}, {}, store / "log.jsonl", store)
    tracker.log_model(folder, ASKING)
    tracker.finish({}, "FINISHED")


def served(store, alias, post):
    """What `mlflow models serve` answers to each body."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        *(sys.executable, "-m", "mlflow", "models", "serve", "-m", f"models:/{MODEL}@{alias}"),
        *("--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)),
    ]
    environ = {
        **os.environ,
        "MLFLOW_TRACKING_URI": f"sqlite:///{store}/mlflow.db",
        "PATH": f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}",
    }
    with (store / "server.log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=store, env=environ, stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_for(port)
        return [answer_to(port, body) for body in post]
    finally:
        os.killpg(process.pid, 15)
        process.wait(60)


def wait_for(port):
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.5)


def answer_to(port, body):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=300) as answer:
        (found,) = json.load(answer)["predictions"]
    return found


def test_the_served_model_answers_for_an_image(store, repository):
    register(store, repository / "models/base/world")
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), (200, 30, 30)).save(buffer, "png")
    image = base64.b64encode(buffer.getvalue()).decode()
    names = ["red crossbill", "pine grosbeak"]
    opened, closed = served(
        store,
        CANDIDATE,
        [
            {"inputs": {"image": image}},
            {"inputs": [{"image": image, "candidates": names}], "params": {"votes": 2}},
        ],
    )
    assert set(opened) == {"answer", "candidates", "sections", "votes", "raw"}
    assert opened["raw"]
    assert opened["votes"] == {}
    assert closed["candidates"] == names
    assert all(share in (0.5, 1.0) for share in closed["votes"].values())


def test_a_large_model_is_a_pointer_that_is_checked(store, tiny_model, monkeypatch):
    import mlflow.pyfunc

    monkeypatch.setattr(registry, "_LARGEST_COPY", 1)
    folder = store / "weights"
    shutil.copytree(tiny_model, folder)
    register(store, folder)
    version = find_alias(client_of(store), CANDIDATE)
    assert version.tags["weights_are"] == "at the path"
    mlflow.pyfunc.load_model(version.source)
    with (folder / "model.safetensors").open("ab") as file:
        file.write(b"x")
    with pytest.raises(Exception, match="holds other weights than were registered"):
        mlflow.pyfunc.load_model(version.source)


def test_the_path_of_an_experiments_model_is_no_copys(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FINER1_HOME", "/project")
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/a").write_text("a")
    journal, _ = new_journal(tmp_path / "journals", "tapo", {})
    journal_model(journal, Path("weights"), ASKING)
    assert journal.read()[-1]["path"] == "/project/weights"


def test_each_run_has_one_version_and_the_newest_is_candidate(store, tiny_model, monkeypatch):
    register(store, tiny_model)
    register(store, tiny_model)
    monkeypatch.setenv("DVC_EXP_NAME", "ablation")
    register(store, tiny_model)
    client = client_of(store)
    versions = {item.version: item for item in client.search_model_versions(f"name = '{MODEL}'")}
    assert len({item.run_id for item in versions.values()}) == len(versions) == 3
    assert int(find_alias(client, CANDIDATE).version) == 2
    version = versions[find_alias(client, CANDIDATE).version]
    assert int(find_weights(client, version.tags["weights"]).version) == 3
    assert find_alias(client, CHAMPION) is None
    answers = {"open/a": {"name": "w/bird/a", "seen": True, "is_correct": True}}
    make_champion(client, version, answers, "better")
    champion = find_alias(client, CHAMPION)
    assert champion.version == version.version
    assert champion_answers(client, champion) == answers
    assert champion.tags["gate"] == "better"
