"""Endpoints that a page starts, as real processes; none of them gets to load a model."""

import time
from concurrent.futures import CancelledError
from contextlib import suppress
from threading import Thread

import pytest

from flows.endpoints import endpoints

PATIENCE_S = 600


@pytest.mark.slow
def test_one_that_cannot_start_is_told_in_its_own_words_and_its_log_is_named(tmp_path, capsys):
    with endpoints(tmp_path, tmp_path, "cpu") as start, pytest.raises(ValueError) as told:
        start(tmp_path / "none")
    (log,) = tmp_path.glob("serve-*.log")
    assert f"finer1: {told.value}" in log.read_text()
    assert str(tmp_path / "none") in str(told.value)
    assert f"its log is {log}" in capsys.readouterr().out


def test_what_waits_to_be_started_is_not_started_any_more_at_the_end(tmp_path):
    def ask(start, name):
        with suppress(CancelledError, ValueError):
            start(tmp_path / name)

    with endpoints(tmp_path, tmp_path, "cpu") as start:
        askers = [Thread(target=ask, args=(start, name)) for name in "ab"]
        for asker in askers:
            asker.start()
        end = time.monotonic() + PATIENCE_S
        while not list(tmp_path.glob("*.log")):
            assert time.monotonic() < end, "never started"
            time.sleep(0.01)
        time.sleep(0.2)  # for the second to wait
    for asker in askers:
        asker.join(PATIENCE_S)
    assert len(list(tmp_path.glob("*.log"))) == 1
