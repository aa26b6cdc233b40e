import threading

import httpx
import pytest

from finer1.serving.protocol import REFUSALS, JsonServer, as_ready, connect


class NoWait(threading.Event):
    """Is not waited for."""

    def wait(self, timeout=None):
        return self.is_set()


def fail_then_wait(stopping, retries):
    """Two calls: one fails, another would try again for an hour; how often it tried."""
    is_waiting = threading.Event()

    def fail():
        assert is_waiting.wait(10)
        raise ValueError("the first one")

    def try_again():
        while not stopping.is_set():
            retries.append(1)
            is_waiting.set()
            stopping.wait(3600)
        raise ConnectionError("stopped")

    return [fail, try_again]


def test_a_failure_ends_the_waits_of_the_others():
    stopping, retries = threading.Event(), []
    with pytest.raises(ValueError, match="the first one"):
        list(as_ready(fail_then_wait(stopping, retries), 2, stopping))
    assert retries == [1]
    assert not stopping.is_set()


def test_a_caller_who_stops_listening_ends_the_waits_too():
    stopping = threading.Event()
    results = as_ready([lambda: 0, lambda: stopping.wait(3600)], 2, stopping)
    assert next(results) == (0, 0)
    results.close()  # in no time, or this test would take an hour


def test_nothing_is_tried_once_the_work_has_stopped():
    stopping = threading.Event()
    stopping.set()
    server = JsonServer(connect("http://127.0.0.1:1/v1", None, False), stopping)
    with pytest.raises(ConnectionError, match=r"left alone, .* stopped \(not tried yet\)"):
        server.call("GET", "models", None)


def test_each_retry_is_one_warning_with_trouble_and_delay(caplog):
    server = JsonServer(connect("http://127.0.0.1:1/v1", None, False), NoWait())
    with pytest.raises(ConnectionError):
        server.call("GET", "models", None)
    messages = [record.getMessage() for record in caplog.records if "trying" in record.message]
    assert len(messages) == REFUSALS - 1
    assert messages[1].startswith("http://127.0.0.1:1/v1/models: ConnectError: ")
    assert messages[1].endswith("; trying again in 1.0 s")


def test_results_come_with_their_places_whichever_ends_first():
    is_second_done = threading.Event()

    def first():
        assert is_second_done.wait(10)
        return "first"

    def second():
        is_second_done.set()
        return "second"

    assert sorted(as_ready([first, second], 2, threading.Event())) == [(0, "first"), (1, "second")]


def test_after_a_failure_those_that_had_begun_are_given_and_the_others_never_begin():
    has_failed = threading.Event()
    begun = []

    def fail():
        has_failed.set()
        raise ValueError("the first one")

    def begin(number):
        begun.append(number)
        assert has_failed.wait(10)
        return number

    given = []
    calls = [fail, *(lambda number=number: begin(number) for number in range(50))]
    with pytest.raises(ValueError, match="the first one"):
        given.extend(as_ready(calls, 1 + 2, threading.Event()))
    assert len(begun) < 50


def test_a_password_in_the_address_is_not_printed():
    server = JsonServer(connect("http://me:secret@127.0.0.1:1/v1", None, False), NoWait())
    with pytest.raises(ConnectionError, match="http://127.0.0.1:1/v1/models") as error:
        server.call("GET", "models", None)
    assert "secret" not in str(error.value)


def test_the_time_out_bounds_the_connection_too():
    client = connect("http://127.0.0.1:1/v1", None, False, timeout_s=0.5)
    assert client.timeout == httpx.Timeout(0.5)
