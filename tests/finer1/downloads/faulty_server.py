"""A server of files on this machine that misbehaves as the address says.

    http://127.0.0.1:<port>/<behaviour>/<name>

What goes wrong goes wrong at the first request for an address, or at every one: see the methods
of _Handler, one per behaviour.
"""

import contextlib
import socket
import struct
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextlib.contextmanager
def serve(files):
    """A running server of `files`, name -> bytes; `server.requests` are (path, Range header)."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.handle_error = lambda *arguments: None  # a client that went away is no fault
    server.files = files
    server.requests = []
    server.seen = Counter()
    server.stop = threading.Event()
    server.base = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.stop.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        _, behaviour, self.name = self.path.split("/", 2)
        self.content = self.server.files[self.name.rpartition("@")[2]]
        self.server.requests.append((self.path, self.headers.get("Range")))
        self.server.seen[self.path] += 1
        self.is_first = self.server.seen[self.path] == 1
        getattr(self, behaviour)()

    def log_message(self, *arguments):
        pass

    def honest(self, cut_at=None, etag='"1"', head=True):
        """The file or the range asked for; the connection breaks after `cut_at` bytes."""
        asked, total = self.headers.get("Range"), len(self.content)
        start = int(asked[len("bytes=") : -1]) if asked and head else 0
        if self.headers.get("If-Range", etag) != etag:
            start = 0
        if start >= total and start:
            return self.answer(416, b"", {"Content-Range": f"bytes */{total}"})
        headers = {"ETag": etag}
        if start:
            headers["Content-Range"] = f"bytes {start}-{total - 1}/{total}"
        return self.answer(206 if start else 200, self.content[start:], headers, cut_at)

    def cut(self):
        """Breaks off half-way, the first time."""
        self.honest(cut_at=len(self.content) // 2 if self.is_first else None)

    def no_range(self):
        """Breaks off half-way, the first time, and then sends all although asked for the rest."""
        self.honest(cut_at=len(self.content) // 2 if self.is_first else None, head=False)

    def reset(self):
        """Resets the connection, the first time."""
        if not self.is_first:
            return self.honest()
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        self.connection.close()
        self.wfile = self.rfile
        return None

    def stall(self):
        """Sends a third and then nothing, the first time."""
        if not self.is_first:
            return self.honest()
        self.start(200, {"Content-Length": len(self.content), "ETag": '"1"'})
        self.wfile.write(self.content[: len(self.content) // 3])
        self.wfile.flush()
        self.server.stop.wait(5)
        self.close_connection = True
        return None

    def wrong_bytes(self):
        """The right length, one byte turned."""
        self.answer(200, bytes([self.content[0] ^ 1]) + self.content[1:], {})

    def short(self):
        """A whole answer with a byte too few."""
        self.answer(200, self.content[:-1], {})

    def long(self):
        """Chunks without a length, and bytes that the file has not."""
        self.start(200, {"Transfer-Encoding": "chunked"})
        body = self.content + b"more"
        self.wfile.write(f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n")

    def redirect(self):
        """To where the file is."""
        self.answer(302, b"", {"Location": f"/honest/{self.name}"})

    def circle(self):
        """To itself, by way of another name."""
        other = self.name.removeprefix("x@") if self.name.startswith("x@") else f"x@{self.name}"
        self.answer(301, b"", {"Location": f"/circle/{other}"})

    def page(self):
        """200 and a page for people."""
        self.answer(200, b"<html>Please log in</html>", {"Content-Type": "text/html"})

    def disguised_page(self):
        """200 and a page for people, said to be an archive."""
        page = b"\n<!DOCTYPE html><p>Moved"
        self.answer(200, page, {"Content-Type": "application/gzip"})

    def unsatisfiable(self):
        """Breaks off half-way, the first time, and answers 416 to every range."""
        if self.headers.get("Range"):
            self.answer(416, b"", {"Content-Range": f"bytes */{len(self.content)}"})
        else:
            self.honest(cut_at=len(self.content) // 2 if self.is_first else None)

    def too_many(self):
        """429, the first time, with a time to wait."""
        self.answer(429, b"", {"Retry-After": "7"}) if self.is_first else self.honest()

    def unavailable(self):
        """503, the first time."""
        self.answer(503, b"", {}) if self.is_first else self.honest()

    def missing(self):
        """404."""
        self.answer(404, b"", {})

    def changed(self):
        """Breaks off half-way in a version that is another one at the next request."""
        if self.is_first:
            self.content = bytes(len(self.content))
            return self.honest(cut_at=len(self.content) // 2)
        return self.honest(etag='"2"')

    def changed_unnoticed(self):
        """As `changed`, and goes on with the other version although asked for the first."""
        if not self.is_first:
            del self.headers["If-Range"]
        self.changed()

    def start(self, status, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def answer(self, status, body, headers, cut_at=None):
        self.start(status, {"Content-Length": len(body), **headers})
        self.wfile.write(body[:cut_at])
        self.wfile.flush()
        if cut_at is not None:
            self.close_connection = True
