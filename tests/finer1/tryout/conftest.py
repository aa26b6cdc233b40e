"""A project whose model answers at once: a real endpoint in front of an engine that is a table."""

import hashlib
import io
import threading
import time
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest
import uvicorn
from PIL import Image

from finer1.asking import Asking
from finer1.endpoint.app import Served, build_app
from finer1.endpoint.desk import Desk
from finer1.endpoint.limits import Limits
from finer1.engines.interface import Sample
from finer1.gate import Gate
from finer1.images import write_archive
from finer1.params import load_params
from finer1.records import ImageRecord, SplitRecord, write_jsonl
from finer1.tryout.client import Client

LABELS = ("elm wren", "oak wren", "ash wren")
ASKING = Asking("trained", "", ("bird",), max_tokens=64, temperature=0.7, top_p=0.99)
PATIENCE_S = 120


def completion(answer, other="ash wren"):
    """A whole rationale."""
    return (
        f"<think><analysis>a red crown</analysis><options>{answer}, {other}</options>"
        f"<comparison>The {other} has a blue crown.</comparison><prediction>{answer}</prediction>"
        f"</think><answer>{answer}</answer>"
    )


@dataclass
class Written:
    """An engine that writes the same text whatever it is shown, word by word."""

    text: str = completion("oak wren")
    votes: tuple[str, ...] = ("oak wren", "oak wren", "elm wren", "oak wren", "oak wren")
    step_s: float = 0.0
    """Between two words."""
    identity: str = "table:float32:abc"
    pads: bool = False
    seen: list = field(default_factory=list)

    def generate(self, requests, sampling):
        self.seen += [(request, sampling) for request in requests]
        if sampling.temperature == 0:
            return [[Sample(self.text, 42, "stop")] for _ in requests]
        drawn = [Sample(completion(name), 40, "stop") for name in self.votes[: sampling.n]]
        return [drawn for _ in requests]

    def write(self, request, sampling):
        self.seen.append((request, sampling))
        for word in self.text.split(" "):
            time.sleep(self.step_s)
            yield f"{word} " if word != self.text.split(" ")[-1] else word
        return "stop"


@pytest.fixture
def endpoint():
    """Start an endpoint in front of an engine; gives its address."""
    started = []

    def start(engine, key=None, limits=None):
        limits = limits or Limits(answer_s=PATIENCE_S)
        desk = Desk(engine, limits)
        app = Gate(build_app(Served("tapo", ASKING, desk, limits, key)))
        config = uvicorn.Config(app, "127.0.0.1", 0, log_level="warning", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        end = time.monotonic() + PATIENCE_S
        while not server.started:
            assert time.monotonic() < end, "too slow"
            time.sleep(0.01)
        started.append((server, thread, desk))
        port = server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}/v1"

    yield start
    for server, thread, desk in started:
        server.should_exit = server.force_exit = True
        thread.join(PATIENCE_S)
        desk.close()


@pytest.fixture
def client(endpoint):
    def make(engine=None, **more):
        return Client(endpoint(engine or Written(), **more), more.get("key"))

    return make


def drawing(seed):
    """Content of an image file of its own."""
    pixels = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def project(repository, tmp_path):
    """A folder after the split of a dataset of one's own: three birds, four images each."""
    params = load_params(repository / "params.yaml")
    download = params.download.model_copy(update={"datasets": ("birds",)})
    params = params.model_copy(update={"download": download})
    images, members = [], []
    for place, label in enumerate(LABELS):
        for number, side in enumerate(("train", "train", "train", "test")):
            name, content = f"{label}/{number}.png", drawing(10 * place + number)
            members.append((name, content))
            sha256 = hashlib.sha256(content).hexdigest()
            images.append(
                ImageRecord(f"birds/{name}", "birds", "bird", label, None, sha256, "0" * 16, side)
            )
    write_archive(tmp_path / params.paths.images / "birds.zip", members)
    write_jsonl(tmp_path / params.paths.index, images)
    splits = [SplitRecord(item, True, "tapo") for item in images if item.official == "train"]
    write_jsonl(tmp_path / params.paths.splits, splits)
    return SimpleNamespace(home=tmp_path, params=params, images=images)
