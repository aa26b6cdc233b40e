"""A teacher's server in a process of its own, to be killed; it speaks OpenAI's chat completions.

    python -m tests.tasks.teaching_server PORT LOG SECONDS LABELS

The template engine, which has no weights, writes its answers, SECONDS after each question. LABELS:
JSON, category -> sub-categories. What has been answered is a line of LOG: the hash of the question.
"""

import hashlib
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from finer1.engines.interface import Request, Sampling
from finer1.engines.template import TemplateEngine


class Handler(BaseHTTPRequestHandler):
    """Answers what the engine answers."""

    def do_POST(self):
        content = self.rfile.read(int(self.headers["Content-Length"]))
        body = json.loads(content)
        time.sleep(self.server.seconds)
        *pictures, said = body["messages"][-1]["content"]
        hashes = tuple(
            hashlib.sha256(part["image_url"]["url"].encode()).hexdigest() for part in pictures
        )
        request = Request(said["text"], pictures, hashes, seed=body["seed"])
        sampling = Sampling(body["n"], body["temperature"], body["top_p"], body["max_tokens"])
        (samples,) = self.server.engine.generate([request], sampling)
        choices = [
            {"message": {"content": each.text}, "finish_reason": each.finish_reason}
            for each in samples
        ]
        answer = json.dumps({"choices": choices}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        self.wfile.flush()
        os.write(self.server.log, hashlib.sha256(content).hexdigest().encode() + b"\n")

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    """On this machine alone."""

    daemon_threads = True

    def __init__(self, port, log, seconds, labels):
        super().__init__(("127.0.0.1", port), Handler)
        self.log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self.seconds = seconds
        self.engine = TemplateEngine({key: tuple(names) for key, names in labels.items()})


if __name__ == "__main__":
    _, port, log, seconds, labels = sys.argv
    Server(int(port), log, float(seconds), json.loads(labels)).serve_forever()
