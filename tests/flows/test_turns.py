import threading

import pytest

from flows import turns
from flows.turns import hold_in_turn
from flows.workspace import hold


def test_a_typed_run_is_refused(tmp_path):
    with hold(tmp_path), pytest.raises(ValueError, match="is in use"), hold_in_turn(tmp_path, None):
        pass


def test_a_deployed_run_waits_and_says_for_whom(tmp_path, monkeypatch):
    monkeypatch.setattr(turns, "_PAUSE_S", 0.01)
    said, order = [], []
    told = threading.Event()

    def say(sentence):
        said.append(sentence)
        told.set()

    def second():
        with hold_in_turn(tmp_path, say):
            order.append("second")

    thread = threading.Thread(target=second)
    with hold(tmp_path):
        thread.start()
        assert told.wait(10)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
    assert len(said) == 1
    assert "is in use by process" in said[0]
    assert said[0].endswith("; this run waits")


def test_the_folder_is_free_after_the_block(tmp_path):
    with hold_in_turn(tmp_path, None):
        pass
    with hold_in_turn(tmp_path, None):
        pass
