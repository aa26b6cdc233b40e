"""The endpoint behind a real uvicorn, whose callers go away, are silent, or too many."""

import json
import socket
import threading
import time
from contextlib import contextmanager

import httpx
import uvicorn

from finer1.endpoint.app import Served, build_app
from finer1.endpoint.connections import connection
from finer1.endpoint.desk import Desk
from finer1.endpoint.limits import Limits
from finer1.gate import Gate
from finer1.images import MAX_PIXELS
from tests.finer1.endpoint.conftest import ASKING, chat_body, encoded

BODY = json.dumps({"image": encoded(), "category": "bird"}).encode()
POST = b"POST /v1/recognize HTTP/1.1\r\nHost: 127.0.0.1:1\r\nContent-Length: %d\r\n\r\n" % len(BODY)


@contextmanager
def served(engine, **bounds):
    limits = Limits(**bounds)
    desk = Desk(engine, limits)
    app = Gate(build_app(Served("tiny", ASKING, desk, limits, None)))
    config = uvicorn.Config(
        app, port=0, http=connection(limits.idle_s), log_level="error", lifespan="off"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield server.servers[0].sockets[0].getsockname()[1], desk
    finally:
        server.should_exit = True
        desk.close()
        thread.join(20)


def wait_until(holds):
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def recognize(port, **words):
    return httpx.post(f"http://127.0.0.1:{port}/v1/recognize", content=BODY, timeout=30, **words)


def test_connections_without_a_request_are_closed_and_one_that_waits_for_its_answer_is_not(slow):
    engine, _ = slow
    with served(engine, idle_s=0.1) as (port, _):
        waiting = socket.create_connection(("127.0.0.1", port))
        waiting.sendall(POST + BODY)
        wait_until(lambda: engine.batches)
        silent, slow_head = (socket.create_connection(("127.0.0.1", port)) for _ in range(2))
        slow_head.sendall(b"POST /v1/recognize HTTP/1.1\r\nHo")
        for client in (silent, slow_head):
            client.settimeout(20)
            assert client.recv(1) == b""
        engine.go.set()
        waiting.settimeout(20)
        assert waiting.recv(15) == b"HTTP/1.1 200 OK"


def test_a_caller_that_goes_away_is_not_worked_for_and_is_counted(slow):
    engine, _ = slow
    with served(engine) as (port, desk):
        first, gone = (socket.create_connection(("127.0.0.1", port)) for _ in range(2))
        first.sendall(POST + BODY)
        wait_until(lambda: engine.batches)
        gone.sendall(POST + BODY)
        wait_until(lambda: desk.under_way == 2)
        gone.close()
        wait_until(lambda: desk.under_way == 1)
        engine.go.set()
        assert first.recv(15) == b"HTTP/1.1 200 OK"
        assert len(engine.batches) == 1
        counts = httpx.get(f"http://127.0.0.1:{port}/metrics").text
        assert 'finer1_requests_total{route="recognize",status="499"} 1' in counts


def test_too_many_too_slow_and_too_late_are_each_refused_with_their_status(slow):
    engine, _ = slow
    with served(engine, queued=1, answer_s=1.0, body_s=0.2) as (port, desk):
        first = socket.create_connection(("127.0.0.1", port))
        first.sendall(POST + BODY)
        wait_until(lambda: engine.batches)
        full = recognize(port)
        assert (full.status_code, full.headers["retry-after"]) == (429, "5")
        half = socket.create_connection(("127.0.0.1", port))
        half.sendall(POST + b"{")
        assert half.recv(12) == b"HTTP/1.1 408"
        assert first.recv(12) == b"HTTP/1.1 504"
        engine.go.set()
        desk.close()
        assert recognize(port).status_code == 503


def test_a_page_of_another_site_gets_nothing(slow):
    engine, _ = slow
    with served(engine) as (port, _):
        for headers in ({"host": "evil.example"}, {"origin": "https://evil.example"}):
            assert recognize(port, headers=headers).status_code == 403
    assert engine.batches == []


def test_images_wait_for_room_and_a_stream_gives_its_room_back(engine):
    with served(engine, held_pixels=MAX_PIXELS) as (port, _):
        url = f"http://127.0.0.1:{port}/v1/chat/completions"
        for _ in range(2):
            told = httpx.post(url, json=chat_body(stream=True), timeout=30)
            assert told.text.endswith("data: [DONE]\n\n")
        assert recognize(port).status_code == 200
        counts = httpx.get(f"http://127.0.0.1:{port}/metrics").text
        assert 'finer1_request_seconds_count{route="chat"} 2' in counts
