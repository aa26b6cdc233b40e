"""The endpoint as its own process, under load, asked by OpenAI's client."""

import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest

from finer1.asking import write_asking
from tests.finer1.endpoint.conftest import ASKING, chat_body, encoded

pytestmark = pytest.mark.slow
KEY = "of-the-test"


@pytest.fixture(scope="module")
def model(tiny_model, tmp_path_factory):
    """A tiny model's folder that says how it is asked."""
    folder = tmp_path_factory.mktemp("served") / "tiny"
    folder.mkdir()
    for path in tiny_model.iterdir():
        (folder / path.name).symlink_to(path)
    write_asking(folder, ASKING)
    return folder


@contextmanager
def served(model, repository, *more, **environ):
    """Address of a `finer1 serve` behind the key."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ["-m", "flows.cli", "serve", "--model", str(model), "--port", str(port), *more]
    environ = os.environ | {"FINER1_SERVE_KEY": KEY} | environ
    with subprocess.Popen([sys.executable, *words], cwd=repository, env=environ) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            wait_for(url)
            yield url
        finally:
            process.terminate()
            process.wait(60)


@pytest.fixture(scope="module")
def address(model, repository):
    with served(model, repository) as url:
        yield url


def wait_for(url):
    for _ in range(600):
        try:
            if httpx.get(f"{url}/health").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise AssertionError("the endpoint did not come")


def test_openais_client_chats_and_streams(address):
    openai = pytest.importorskip("openai", reason="openai is not installed")
    client = openai.OpenAI(base_url=f"{address}/v1", api_key=KEY, max_retries=0)
    assert [model.id for model in client.models.list()] == ["tiny"]
    body = chat_body()
    whole = client.chat.completions.create(**body).choices[0].message.content
    parts = client.chat.completions.create(**body, stream=True)
    assert "".join(part.choices[0].delta.content or "" for part in parts) == whole
    part = {"type": "image_url", "image_url": {"url": "http://127.0.0.1/a.png"}}
    message = {"role": "user", "content": [part]}
    with pytest.raises(openai.BadRequestError, match="not fetched"):
        client.chat.completions.create(model="tiny", messages=[message])
    other = openai.OpenAI(base_url=f"{address}/v1", api_key="other", max_retries=0)
    with pytest.raises(openai.AuthenticationError):
        other.models.list()


def test_in_front_of_another_server_the_answers_are_its_own(address, model, repository):
    headers = {"authorization": f"Bearer {KEY}"}
    body = {"image": encoded(), "category": "bird", "candidates": ["a", "b"]}
    with served(model, repository, "--vllm", f"{address}/v1", VLLM_KEY=KEY) as front:
        found = [
            httpx.post(f"{url}/v1/recognize", json=body, headers=headers, timeout=60).json()
            for url in (address, front)
        ]
        assert found[0] == found[1]
        chat = chat_body(stream=True)
        told = httpx.post(f"{front}/v1/chat/completions", json=chat, headers=headers, timeout=60)
        assert told.text.endswith("data: [DONE]\n\n")


def test_100_parallel_requests_are_answered_while_a_bad_client_trickles(address):
    stop = threading.Event()

    def trickle():
        """A body that never ends, a byte at a time; again and again, from eight clients."""
        host, port = address.removeprefix("http://").split(":")
        while not stop.is_set():
            with socket.create_connection((host, int(port))) as client:
                client.sendall(
                    f"POST /v1/recognize HTTP/1.1\r\nHost: {host}:{port}\r\n"
                    f"Authorization: Bearer {KEY}\r\nContent-Length: 1000000\r\n\r\n".encode()
                )
                try:
                    while not stop.wait(0.2):
                        client.sendall(b" ")
                except OSError:
                    continue

    def ask(number):
        body = {"image": encoded(f"#{number:06x}"), "category": "bird"}
        headers = {"authorization": f"Bearer {KEY}"}
        start = time.monotonic()
        answer = httpx.post(f"{address}/v1/recognize", json=body, headers=headers, timeout=120)
        return answer.status_code, time.monotonic() - start

    bad = [threading.Thread(target=trickle, daemon=True) for _ in range(8)]
    with ThreadPoolExecutor(100) as pool:
        alone = list(pool.map(ask, range(100)))
        for thread in bad:
            thread.start()
        time.sleep(1)
        beside = list(pool.map(ask, range(100)))
    stop.set()
    assert {status for status, _ in alone + beside} == {200}
    for name, found in (("alone", alone), ("beside a bad client", beside)):
        seconds = sorted(took for _, took in found)
        print(f"{name}: median {statistics.median(seconds):.2f} s, p95 {seconds[94]:.2f} s")
    headers = {"authorization": f"Bearer {KEY}"}
    assert httpx.get(f"{address}/v1/models", headers=headers).status_code == 200
