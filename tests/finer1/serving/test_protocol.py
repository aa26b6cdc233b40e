import threading

import httpx
import pytest

from finer1.serving.protocol import JsonServer, as_ready, connect


def test_results_come_with_their_places_whichever_ends_first():
    is_second_done = threading.Event()

    def first():
        assert is_second_done.wait(10)
        return "first"

    def second():
        is_second_done.set()
        return "second"

    assert sorted(as_ready([first, second], at_once=2)) == [(0, "first"), (1, "second")]


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
        given.extend(as_ready(calls, at_once=1 + 2))
    assert len(begun) < 50


def test_a_password_in_the_address_is_not_printed():
    server = JsonServer(connect("http://me:secret@127.0.0.1:1/v1", None, False), lambda _: None)
    with pytest.raises(ConnectionError, match="http://127.0.0.1:1/v1/models") as error:
        server.call("GET", "models", None)
    assert "secret" not in str(error.value)


def test_the_time_out_bounds_the_connection_too():
    client = connect("http://127.0.0.1:1/v1", None, False, timeout_s=0.5)
    assert client.timeout == httpx.Timeout(0.5)
