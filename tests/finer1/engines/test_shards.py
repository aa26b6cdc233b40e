"""An engine in several processes of a Ray cluster of the test's own."""

import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from PIL import Image

from finer1.engines import shards as engine_shards
from finer1.engines.interface import EngineSettings, Request, Sampling, Shards, load_engine
from finer1.engines.pictures import Pictures
from finer1.engines.store import GenerationStore
from finer1.teacher.prompts import rationale_prompt

ROOT = Path(__file__).parents[3]
DRAWN = Sampling(n=2, temperature=1.0, top_p=0.9, max_tokens=12)
BATCH = 3
PROCESS = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from test_shards import ask
ask(Path(sys.argv[1]), Path(sys.argv[2]), number=2)
"""


def shards(number):
    environ = {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    return Shards(number, 1, None, environ, Path.cwd()) if number > 1 else None


def start(model, number=2, name="transformers"):
    return load_engine(name, EngineSettings(model, {}, "cpu", shards=shards(number)))


def read(image):
    return Image.new("RGB", (32, 32), image)


def requests(count=11):
    """Of several lengths, so that a batch is padded otherwise than its requests alone."""
    colours = ("red", "green", "blue", "white")
    return [
        Request(
            f"What is it{'?' * (place % 4)}",
            Pictures((colours[place % 4],), read),
            (f"hash {place}",),
            seed=place,
        )
        for place in range(count)
    ]


def ask(model, folder, number=1, batch_size=BATCH):
    """All requests through a store in the folder."""
    store = GenerationStore(folder, batch_size)
    return store.generate(start(model, number), requests(), DRAWN, progress="test")


@pytest.fixture
def ray():
    """Ray, without any process of it before or after."""
    module = pytest.importorskip("ray", reason="the extra ray is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")  # as tasks/stage.py does
        patch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        yield module
    module.shutdown()


def rows(folder):
    (path,) = folder.glob("*.jsonl")
    return path.read_bytes().splitlines()


@pytest.mark.slow
def test_two_shards_give_the_rows_of_one_process(ray, tiny_model, tmp_path):
    alone = ask(tiny_model, tmp_path / "one")
    assert ask(tiny_model, tmp_path / "two", number=2) == alone
    assert sorted(rows(tmp_path / "two")) == sorted(rows(tmp_path / "one"))
    assert len({sample.text for group in alone for sample in group}) > len(alone)  # they are drawn


@pytest.mark.slow
def test_an_engine_that_does_not_pad_is_split_too(ray, tmp_path):
    names = ("Robin", "Wren", "Owl", "Tit")
    settings = EngineSettings(None, {"bird": names}, "cpu")
    alone, two = (
        load_engine("template", replace(settings, shards=shards(number))) for number in (1, 2)
    )
    prompt = rationale_prompt("bird", "Wren", ("dark back", "pale front"), "What is it?", 4)
    asked = [Request(prompt, seed=place) for place in range(11)]
    assert (two.identity, two.pads) == (alone.identity, alone.pads)
    generate = GenerationStore(tmp_path, BATCH).generate
    assert generate(two, asked, DRAWN, "test") == alone.generate(asked, DRAWN)


@pytest.mark.slow
def test_the_batches_of_a_lost_worker_are_made_again(ray, tiny_model, caplog):
    engine, alone = start(tiny_model), start(tiny_model, number=1)
    batches = [requests()[place : place + BATCH] for place in range(0, 11, BATCH)]
    lost = int(engine.processes[0].split()[1])
    made = {}
    with caplog.at_level(logging.WARNING):
        for place, samples in engine.stream_batches(batches, DRAWN):
            if not made:
                os.kill(lost, signal.SIGKILL)
            made[place] = samples
    assert made == {place: alone.generate(batch, DRAWN) for place, batch in enumerate(batches)}
    assert f"worker 1 of 2 (process {lost} on" in caplog.text
    assert int(engine.processes[0].split()[1]) != lost


@pytest.mark.slow
def test_a_killed_stage_leaves_no_process_and_keeps_what_was_made(ray, tiny_model, tmp_path):
    arguments = [sys.executable, "-c", PROCESS, tiny_model, tmp_path / "two", Path(__file__).parent]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"}
    process = subprocess.Popen(list(map(str, arguments)), env=environment)
    deadline = time.monotonic() + 200
    while not (list((tmp_path / "two").glob("*.jsonl")) and rows(tmp_path / "two")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    children = psutil.Process(process.pid).children(recursive=True)
    listening = [
        connection.laddr.ip
        for child in [psutil.Process(process.pid), *children]
        for connection in child.net_connections()
        if connection.status == psutil.CONN_LISTEN
    ]
    assert set(listening) <= {"127.0.0.1", "::1"}
    process.kill()
    process.wait(10)
    # Ray's own agents look for the cluster for a minute before they go.
    _, alive = psutil.wait_procs(children, timeout=180)
    assert alive == []
    kept = rows(tmp_path / "two")
    assert len(children) > 2
    assert kept
    assert ask(tiny_model, tmp_path / "two", number=2) == ask(tiny_model, tmp_path / "one")
    assert rows(tmp_path / "two")[: len(kept)] == kept


@pytest.mark.slow
def test_what_an_engine_refuses_is_said_as_in_one_process(ray):
    with pytest.raises(ValueError, match=r"^the engine `transformers` needs a model folder"):
        start(None)


@pytest.mark.slow
def test_more_shards_than_the_cluster_has_room_for_are_refused(ray, tiny_model):
    engine = start(tiny_model)  # a cluster of two processors
    with pytest.raises(ValueError, match=r"runtime.shards is 3, of 1 cpus each, .* has 2 cpus"):
        start(tiny_model, number=3)
    with pytest.raises(ValueError, match=r"takes 2 cpus in all, and the cluster has 0 free"):
        start(tiny_model)
    assert len(engine.processes) == 2


def test_a_lost_worker_without_room_for_another_is_told(monkeypatch):
    monkeypatch.setattr(engine_shards, "_ROOM_PATIENCE_S", 0.3)
    engine = object.__new__(engine_shards.ShardedEngine)  # of a cluster whose machine is gone
    engine._ray = SimpleNamespace(available_resources=lambda: {"GPU": 1.0})
    engine._per_worker = {"num_gpus": 2}
    lost = engine_shards._Worker(None, 0, "process 7 on b")
    engine._workers = [lost]
    with pytest.raises(ConnectionError, match=r"\(process 7 on b\).* has no 2 gpus free"):
        engine._replace(lost, 0)


def test_without_ray_the_extra_is_named(monkeypatch, tiny_model):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match=r"runtime.shards is 2, which needs the package ray"):
        start(tiny_model)


def test_an_engine_that_asks_a_server_is_not_split(server):
    settings = EngineSettings(None, {}, "cpu", server=server.url, shards=shards(2))
    with pytest.raises(ValueError, match="runtime.teacher"):
        load_engine("openai", settings)
