"""Uploading, to a server here that answers as the hub does and keeps what it is sent."""

import base64
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from finer1.export.pushing import Push, check_repository, push_folder
from finer1.manifest import write_manifest

TOKEN = "hf_canary"


class Hub(BaseHTTPRequestHandler):
    """The part of the hub's API that an upload of small files needs."""

    def log_message(self, *args):
        pass

    def answer(self, value, status=200):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if status >= 400:
            self.send_header("X-Error-Message", value["error"])
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.server.asked.append((self.path, None, self.headers.get("authorization")))
        if "/tree/" in self.path:
            there = [{"type": "file", "path": name, "size": 1, "oid": "0" * 40}
                     for name in self.server.there]  # fmt: skip
            self.answer(there)
        elif "/resolve/" in self.path:
            self.send_file(self.server.there["SHA256SUMS"])
        else:
            self.answer({"id": "lab/birds", "sha": "0" * 40, "siblings": [],
                         "private": self.server.is_private})  # fmt: skip

    def do_HEAD(self):
        self.send_file(self.server.there["SHA256SUMS"])

    def send_file(self, content):
        self.send_response(200)
        self.send_header("ETag", '"1"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.server.asked.append((self.path, body, self.headers.get("authorization")))
        if self.server.refuses and self.path != "/api/repos/create":
            self.answer({"error": "no rights to write"}, 403)
        elif self.path == "/api/repos/create":
            self.answer({"url": f"{self.server.address}/lab/birds", "id": "1", "name": "birds"})
        elif "/preupload/" in self.path:
            files = json.loads(body)["files"]
            told = [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False}
                    for f in files]  # fmt: skip
            self.answer({"files": told})
        elif "/commit/" in self.path:
            self.answer({"commitUrl": f"{self.server.address}/lab/birds/commit/1",
                         "commitOid": "1" * 40})  # fmt: skip
        else:
            self.answer({"errors": [], "warnings": []})


@contextmanager
def hub(refuses=False):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.asked, server.refuses, server.there, server.is_private = [], refuses, {}, True
    server.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An exported folder."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    out = tmp_path / "birds"
    (out / ".eval_results").mkdir(parents=True)
    (out / "README.md").write_text("---\nlicense: mit\n---\n# Birds\n")
    (out / ".eval_results/world.yaml").write_text("[]\n")
    (out / "model.safetensors").write_bytes(b"\0\1\2")
    write_manifest(out)
    return out


def committed(asked):
    """Path -> content of the files in the one commit."""
    (body,) = [body for path, body, _ in asked if "/commit/" in path]
    lines = [json.loads(line) for line in body.splitlines()]
    return {
        line["value"]["path"]: base64.b64decode(line["value"]["content"])
        for line in lines
        if line["key"] == "file"
    }


@pytest.mark.parametrize(("kind", "is_private"), [("model", True), ("dataset", False)])
def test_every_file_goes_up_as_it_is_in_one_commit(folder, kind, is_private):
    with hub() as server:
        server.is_private, told = is_private, []
        push = Push("lab/birds", kind, is_private, TOKEN, server.address)
        assert push_folder(folder, push, told.append) == f"{server.address}/lab/birds"
    expected = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert committed(server.asked) == expected
    (made,) = [json.loads(body) for path, body, _ in server.asked if path == "/api/repos/create"]
    assert (made["name"], made["organization"]) == ("birds", "lab")
    assert made["visibility"] == ("private" if is_private else "public")
    assert made.get("type", "model") == kind
    assert told == ["private" if is_private else "public"]
    assert {key for _, _, key in server.asked} == {f"Bearer {TOKEN}"}


def test_what_the_hub_refuses_is_said_and_the_token_is_not(folder):
    with hub(refuses=True) as server, pytest.raises(OSError) as raised:
        push_folder(folder, Push("lab/birds", "model", True, TOKEN, server.address), print)
    assert "lab/birds was not uploaded: " in str(raised.value)
    assert "give HF_TOKEN the right to write to lab, and " in str(raised.value)
    assert TOKEN not in str(raised.value)


def test_a_second_upload_takes_away_what_the_first_alone_had(folder):
    first = [*folder.rglob("*.*"), folder / ".eval_results/car.yaml"]
    listed = [path.relative_to(folder).as_posix() for path in first if path.suffix]
    lines = "".join(f"{'0' * 64}  {name}\n" for name in listed).encode()
    with hub() as server:
        server.there = dict.fromkeys([*listed, "hand_written.md"], b"") | {"SHA256SUMS": lines}
        push_folder(folder, Push("lab/birds", "model", True, TOKEN, server.address), print)
    (body,) = [body for path, body, _ in server.asked if "/commit/" in path]
    lines = [json.loads(line) for line in body.splitlines()]
    gone = [line["value"]["path"] for line in lines if line["key"] == "deletedFile"]
    assert gone == [".eval_results/car.yaml"]


def test_a_hub_that_is_away_is_said(folder):
    with hub() as server:
        address = server.address
    with pytest.raises(OSError, match="lab/birds was not uploaded: "):
        push_folder(folder, Push("lab/birds", "model", True, TOKEN, address), print)


def test_a_folder_that_was_changed_is_not_uploaded(folder):
    (folder / "model.safetensors").write_bytes(b"other")
    with hub() as server, pytest.raises(ValueError, match="model.safetensors is damaged"):
        push_folder(folder, Push("lab/birds", "model", True, TOKEN, server.address), print)
    assert server.asked == []


@pytest.mark.parametrize("name", ["birds", "a/b/c", "../x", "lab/", "https://x/y", "lab/bi rds"])
def test_what_is_no_repository_is_refused(name):
    with pytest.raises(ValueError, match="--push .*write OWNER/NAME"):
        check_repository(name, "--push")
