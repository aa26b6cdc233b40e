"""Endpoints of `finer1 serve` that a page starts for itself, and that end with it."""

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from finer1.lifetime import dying_with_parent
from flows.serving import KEY

if TYPE_CHECKING:
    from finer1.tryout.client import Client

_PATIENCE_S = 900.0
"""For a model to load, on a slow disk, too; an endpoint that has ended is seen at once."""
_STEP_S = 0.1
_END_S = 10.0


@contextmanager
def endpoints(here: Path, logs: Path, device: str) -> Iterator[Callable[[Path], "Client"]]:
    """A function that starts the endpoint of a model's folder, once, and returns when it answers.

    here: where they work. logs: folder for what they print. They end with the block, and with this
    process if it is killed. The function raises ValueError with the endpoint's own last words when
    that ends, OSError when it never answers.
    """
    children: list[subprocess.Popen[bytes]] = []
    started: dict[Path, Client] = {}

    def once(folder: Path) -> "Client":
        if folder not in started:
            started[folder] = _start(folder, here, logs, device, children)
        return started[folder]

    # Linux ends a child with the thread that started it, and those of a page come and go.
    with ThreadPoolExecutor(1) as starter:

        def start(folder: Path) -> "Client":
            return starter.submit(once, folder).result()

        try:
            yield start
        finally:
            starter.shutdown(wait=False, cancel_futures=True)  # or one that waits starts another
            for child in children:
                child.terminate()
            for child in children:
                with suppress(subprocess.TimeoutExpired):
                    child.wait(_END_S)
                child.kill()
                child.wait()


def _start(
    folder: Path, here: Path, logs: Path, device: str, children: list[subprocess.Popen[bytes]]
) -> "Client":
    from finer1.tryout.client import Client

    port, key = _free_port(), os.environ.get(KEY) or secrets.token_hex(16)
    words = ["serve", "--model", str(folder), "--port", str(port), "--device", device]
    log = logs / f"serve-{port}.log"
    with log.open("wb") as file:
        child = subprocess.Popen(
            [sys.executable, "-m", "flows.cli", *words],
            cwd=here,
            env={**os.environ, KEY: key},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            preexec_fn=dying_with_parent(),
        )
    children.append(child)
    print(f"starts    the endpoint of {folder}; its log is {log}", flush=True)
    url = f"http://127.0.0.1:{port}"
    end = time.monotonic() + _PATIENCE_S
    while not _is_up(url):
        if child.poll() is not None:
            raise ValueError(_last_words(log))
        if time.monotonic() > end:
            raise OSError(f"finer1 serve of {folder} did not answer within {_PATIENCE_S:g} s")
        time.sleep(_STEP_S)
    return Client(f"{url}/v1", key)


def _is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=_END_S, trust_env=False).is_success
    except httpx.TransportError:
        return False


def _last_words(log: Path) -> str:
    """The message that it ended with, which may have several lines; else its last line."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    if not lines:
        return "finer1 serve ended without a word"
    begins = [place for place, line in enumerate(lines) if line.startswith("finer1: ")]
    return "\n".join(lines[begins[-1] if begins else -1 :]).removeprefix("finer1: ")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
