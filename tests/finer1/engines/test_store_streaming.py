"""Answers are kept one by one as they arrive, whatever happens to the process meanwhile."""

import os
import signal
import subprocess
import sys
import time

import pytest

from finer1.engines.interface import EngineSettings, Request, Sampling, load_engine
from finer1.engines.store import GenerationStore
from finer1.model_params import TeacherParams

NUM_REQUESTS, IN_FLIGHT = 200, 8
ONE = Sampling(n=1, temperature=1.0, top_p=1.0, max_tokens=50)

PROCESS = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from test_store_streaming import ask
ask(sys.argv[1], Path(sys.argv[2]))
"""


def ask(url, folder):
    """All requests through the store in `folder`; their texts."""
    teacher = TeacherParams(
        in_flight=IN_FLIGHT, timeout_s=30.0, memory_share=0.9, cpu_cache_mib=256, tensor_parallel=1
    )
    engine = load_engine("openai", EngineSettings(None, {}, "cpu", teacher=teacher, server=url))
    requests = [Request(f"q{i}", seed=i) for i in range(NUM_REQUESTS)]
    groups = GenerationStore(folder, 96).generate(engine, requests, ONE, progress="test")
    return [group[0].text for group in groups]


def start(server, folder, repository):
    """The same in a process of its own."""
    arguments = [sys.executable, "-c", PROCESS, server.url, str(folder), os.path.dirname(__file__)]
    environment = os.environ | {"PYTHONPATH": str(repository)}
    return subprocess.Popen(arguments, env=environment, stderr=subprocess.DEVNULL)


def lines(folder):
    return [line for path in folder.glob("*.jsonl") for line in path.read_bytes().splitlines()]


EXPECTED = [f"q{i}/{i}/0" for i in range(NUM_REQUESTS)]


def test_any_order_of_arrival_gives_the_same_rows(server, tmp_path):
    plain, server.answer = server.answer, lambda body: time.sleep(body["seed"] % 7 / 200)
    delay, server.answer = server.answer, lambda body: (delay(body), plain(body))[1]
    assert ask(server.url, tmp_path / "slow") == EXPECTED
    server.answer = plain
    assert ask(server.url, tmp_path / "fast") == EXPECTED
    assert sorted(lines(tmp_path / "slow")) == sorted(lines(tmp_path / "fast"))
    assert server.peak == IN_FLIGHT


def test_a_killed_process_asks_again_only_what_was_under_way(server, tmp_path, repository):
    plain = server.answer
    server.answer = lambda body: (time.sleep(0.02), plain(body))[1]
    folder = tmp_path / "store"
    process = start(server, folder, repository)
    deadline = time.monotonic() + 60
    while len(lines(folder)) < NUM_REQUESTS // 2 and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    kept = lines(folder)
    assert NUM_REQUESTS // 2 <= len(kept) < NUM_REQUESTS
    asked_before = len(server.requests)
    assert ask(server.url, folder) == EXPECTED
    whole = lines(folder)
    assert whole[: len(kept)] == kept or whole[: len(kept) - 1] == kept[:-1]  # the last may be torn
    asked_again = len(server.requests) - asked_before
    assert asked_again in (NUM_REQUESTS - len(kept), NUM_REQUESTS - len(kept) + 1)
    assert server.peak <= IN_FLIGHT
    server.answer = plain
    ask(server.url, tmp_path / "other")
    assert sorted(whole) == sorted(lines(tmp_path / "other"))


def test_two_processes_at_once_end_with_one_row_per_request(server, tmp_path, repository):
    folder = tmp_path / "store"
    processes = [start(server, folder, repository) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert len(lines(folder)) == NUM_REQUESTS
    before = len(server.requests)
    assert ask(server.url, folder) == EXPECTED
    assert len(server.requests) == before


def test_what_had_arrived_before_a_refusal_is_kept(server, tmp_path):
    plain = server.answer

    def answer(body):
        if body["seed"] == 150:  # what comes next is refused
            server.script = [(400, {"error": "too long"})]
        return plain(body)

    server.answer = answer
    with pytest.raises(ValueError, match="too long"):
        ask(server.url, tmp_path)
    kept = len(lines(tmp_path))
    assert kept == len(server.requests) - 1  # each was answered but the one refused
    server.answer, before = plain, len(server.requests)
    assert ask(server.url, tmp_path) == EXPECTED
    assert len(server.requests) - before == NUM_REQUESTS - kept


def test_half_a_character_is_no_trouble_for_the_file(server, tmp_path):
    server.answer = lambda body: {"choices": [{"message": {"content": "a \ud83d bird"}}]}
    assert ask(server.url, tmp_path) == ["a ? bird"] * NUM_REQUESTS
    server.answer = None
    assert ask(server.url, tmp_path) == ["a ? bird"] * NUM_REQUESTS


def test_equal_requests_are_asked_once(server, tmp_path):
    teacher = TeacherParams(
        in_flight=2, timeout_s=9.0, memory_share=0.9, cpu_cache_mib=256, tensor_parallel=1
    )
    settings = EngineSettings(None, {}, "cpu", teacher=teacher, server=server.url)
    requests = [Request("q"), Request("p"), Request("q")]
    store = GenerationStore(tmp_path, 1)
    groups = store.generate(load_engine("openai", settings), requests, ONE, progress="test")
    assert [group[0].text for group in groups] == ["q/0/0", "p/0/0", "q/0/0"]
    assert len(server.requests) == 2


def test_progress_tells_rate_and_time_left(server, tmp_path, capfd):
    plain = server.answer
    server.answer = lambda body: (time.sleep(0.01), plain(body))[1]
    ask(server.url, tmp_path)
    told = capfd.readouterr().err.splitlines()
    assert [line.split(" ")[1] for line in told] == [f"{n}/200" for n in (40, 80, 120, 160, 200)]
    assert all("left" in line and "/s" in line for line in told)
