"""Servers that take the place of MLflow's and misbehave, each in one way."""

import json
import threading
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FAULTS = ("refuses", "hangs", "fails", "cuts", "trickles", "lies")
_RUN = {"info": {"run_id": "other", "lifecycle_stage": "active"}, "data": {"tags": []}}
_LIES = {
    "get-by-name": {"experiment": {"experiment_id": "1", "name": "finer1"}},
    "search": {},
    "create": {"run": _RUN},
    "get": {"run": _RUN},
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self):
        self.server.num_requests += 1
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        getattr(self, self.server.fault)()

    do_GET = do_POST = do_PUT = do_PATCH = _answer

    def hangs(self):
        self.server.ended.wait(60)

    def fails(self):
        self._send(500, b'{"error_code": "INTERNAL_ERROR", "message": "no disk"}')

    def cuts(self):
        self._send(200, b'{"run": {"info": {"run_id": "', length=400)
        self.close_connection = True

    def trickles(self):
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        while not self.server.ended.wait(0.3):
            self.wfile.write(b" ")
            self.wfile.flush()

    def lies(self):
        name = self.path.partition("?")[0].rpartition("/")[2]
        self._send(200, json.dumps(_LIES.get(name, {})).encode())

    def _send(self, status, content, length=None):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(length or len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # The client has gone.


@contextmanager
def faulty_server(fault):
    """The address of a server with the fault, which ends with the block."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.fault, server.ended, server.num_requests = fault, threading.Event(), 0
    address = f"http://127.0.0.1:{server.server_port}"
    if fault == "refuses":
        server.server_close()
        yield address
        return
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield address
    finally:
        server.ended.set()
        server.shutdown()
        server.server_close()


class _Passing(_Handler):
    def _answer(self):
        server = self.server
        with server.mutex:
            server.num_requests += 1
            is_alive = server.fault is None
            if is_alive and server.dies(self.path, server.num_requests):
                server.fault = server.how
        if not is_alive or server.fault in ("hangs", "fails"):
            getattr(self, server.fault)()
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        behind = HTTPConnection("127.0.0.1", server.port_behind, timeout=60)
        headers = {k: v for k, v in self.headers.items() if k.lower() != "host"}
        behind.request(self.command, self.path, body, headers)
        answer = behind.getresponse()
        content = answer.read()
        behind.close()
        if server.fault:  # it has done what it was asked for, and nobody hears of it
            threading.Thread(target=_leave, args=(server,), daemon=True).start()
            self.vanishes()
            return
        self._send(answer.status, content)

    def vanishes(self):
        self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = _answer


def _leave(server):
    server.shutdown()
    server.server_close()


@contextmanager
def dying_server(port, dies, how):
    """The address of what stands before the server at `port`, until it dies.

    dies: of a request's path and number, whether it does at this one. how: `hangs`, `fails`, or
    `vanishes`: the request is done, the answer does not come, and then nobody is at the address.
    """
    server = _Server(("127.0.0.1", 0), _Passing)
    server.ended, server.num_requests, server.fault = threading.Event(), 0, None
    server.port_behind, server.dies, server.how = port, dies, how
    server.mutex = threading.Lock()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
        assert server.fault == how, f"of {server.num_requests} requests, none was the one"
    finally:
        server.ended.set()
        server.shutdown()
        server.server_close()
