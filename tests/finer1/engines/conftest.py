"""A teacher's server on this machine that can fail in every way a real one does."""

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class TeacherServer:
    """Speaks chat completions; answers with the text it was asked, the seed and the place."""

    def __init__(self):
        self.script = []
        """What happens to the next requests: (status, answer) or (status, answer, headers); an
        answer of bytes is sent as it is; a function of the handler does as it likes."""
        self.answer = lambda body: completion(body)
        """What happens to all others; it may take its time."""
        self.models = ["finer"]
        self.requests = []
        """Path, headers and body of each request."""
        self.answered = Counter()
        """Whole answers that were sent, by the text asked."""
        self.peak = 0
        """Most requests that were under way at once."""
        self._under_way = 0
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def _play(self, handler, body):
        with self._lock:
            self.requests.append((handler.path, dict(handler.headers), body))
            self._under_way += 1
            self.peak = max(self.peak, self._under_way)
            action = self.script.pop(0) if self.script else None
        try:
            if action is None:
                answer = self.answer(body)
                self._leave()  # before the client can know, and send the next
                send(handler, 200, answer)
                with self._lock:
                    self.answered[body["messages"][-1]["content"][-1]["text"]] += 1
                return
            self._leave()
            if callable(action):
                action(handler)
            else:
                send(handler, *action)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client is gone, as it may

    def _leave(self):
        with self._lock:
            self._under_way -= 1

    def _handler(self):
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                send(self, 200, {"data": [{"id": name} for name in outer.models]})

            def do_POST(self):
                content = self.rfile.read(int(self.headers["Content-Length"]))
                outer._play(self, json.loads(content))

            def log_message(self, *_):
                pass

        return Handler


def completion(body, finish="stop"):
    """What the model says: the text it was asked, and its seed."""
    text = body["messages"][-1]["content"][-1]["text"]
    choices = [
        {"message": {"content": f"{text}/{body['seed']}/{i}"}, "finish_reason": finish}
        for i in range(body["n"])
    ]
    return {"choices": choices, "usage": {"completion_tokens": 7 * body["n"]}}


def send(handler, status, answer, headers=None):
    """A whole HTTP answer."""
    content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(content)


@pytest.fixture
def server():
    server = TeacherServer()
    yield server
    server.close()
