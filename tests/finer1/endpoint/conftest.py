"""A tiny model behind the endpoint."""

import base64
import io
import threading
from dataclasses import dataclass

import pytest
from PIL import Image
from starlette.testclient import TestClient

from finer1.asking import Asking
from finer1.endpoint.app import Served, build_app
from finer1.endpoint.desk import Desk
from finer1.endpoint.limits import Limits
from finer1.engines.interface import EngineSettings, Sample, load_engine

ASKING = Asking("trained", "", ("bird", "car"), max_tokens=6, temperature=1.0, top_p=0.99)
SMALL = Limits(body_bytes=300_000, text=2_000, candidates=20, queued=4, body_s=2.0, answer_s=20.0)


class SlowEngine:
    """Answers when it is told to, and notes what it was given together."""

    identity, pads = "slow", True
    error: Exception = RuntimeError("out of memory")

    def __init__(self):
        self.go = threading.Event()
        self.batches = []

    def generate(self, requests, sampling):
        self.batches.append([request.user for request in requests])
        assert self.go.wait(20)
        if any(request.user == "broken" for request in requests):
            raise self.error
        return [[Sample(request.user, 1, "stop")] * sampling.n for request in requests]


def encoded(colour="red", size=(40, 40), kind="png"):
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, kind)
    return base64.b64encode(buffer.getvalue()).decode()


def chat_body(**changes):
    content = [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{encoded()}"}},
        {"type": "text", "text": "What kind of bird is this?"},
    ]
    return {"model": "tiny", "messages": [{"role": "user", "content": content}]} | changes


@pytest.fixture(scope="session")
def engine(tiny_model):
    return load_engine("transformers", EngineSettings(tiny_model, {}, "cpu"))


@dataclass(frozen=True)
class Endpoint:
    client: TestClient
    desk: Desk

    def post(self, path, body=None, **words):
        return self.client.post(path, json=body, **words)


@pytest.fixture
def endpoint(engine):
    """Make an endpoint; its desk ends with the test."""
    desks = []

    def make(key=None, limits=SMALL, engine=engine):
        desk = Desk(engine, limits)
        desks.append(desk)
        served = Served("tiny", ASKING, desk, limits, key)
        return Endpoint(TestClient(build_app(served), "http://127.0.0.1"), desk)

    yield make
    for desk in desks:
        desk.close()


@pytest.fixture
def slow():
    engine = SlowEngine()
    desks = []

    def make(**limits):
        desks.append(Desk(engine, Limits(**limits)))
        return desks[-1]

    yield engine, make
    engine.go.set()
    for desk in desks:
        desk.close()
