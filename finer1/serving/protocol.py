"""OpenAI's protocol over HTTP: calls with retries, messages with images."""

import base64
import io
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import httpx
from PIL import Image

from finer1.engines.interface import Request

RETRIED = frozenset({408, 429, 500, 502, 503, 504})
"""Status codes of a busy or failing server, as opposed to a wrong request."""
ATTEMPTS, FIRST_WAIT_S, LONGEST_WAIT_S = 7, 0.5, 30.0
"""Tries of a request, and the waits between them, which double."""
TIMEOUT = httpx.Timeout(600.0, connect=10.0)
"""Seconds; a long queue of a busy server is no failure."""

Result = TypeVar("Result")


def check_address(address: str | None, who: str, variable: str) -> str:
    """The address of a server.

    Raises ValueError when it is none, saying that `who` needs one in the environment `variable`.
    """
    if address is None or not address.startswith(("http://", "https://")):
        raise ValueError(
            f"{who} needs the address of a server, not {address!r}: set {variable}, such as "
            "http://127.0.0.1:8000/v1"
        )
    return address


def connect(address: str, api_key: str | None, may_use_proxy: bool) -> httpx.Client:
    """A client of the server at `address`; the key, if any, goes as bearer token.

    may_use_proxy: go through the proxy that the environment names, if it names one.
    """
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    return httpx.Client(
        base_url=address.rstrip("/") + "/",
        headers=headers,
        timeout=TIMEOUT,
        trust_env=may_use_proxy,
    )


def call_all(calls: Sequence[Callable[[], Result]], at_once: int) -> list[Result]:
    """What the calls return, in order; `at_once` of them run at a time.

    Raises what the first of them raises that fails; those that have not begun never do.
    """
    with ThreadPoolExecutor(at_once) as pool:
        running = [pool.submit(call) for call in calls]
        try:
            return [future.result() for future in running]
        finally:
            for future in running:  # after a failure, the waiting ones would fail in turn
                future.cancel()


class JsonServer:
    """A server that takes and gives JSON."""

    def __init__(self, client: httpx.Client, wait: Callable[[float], None]) -> None:
        self._client = client
        self._wait = wait

    def call(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        """The answer's JSON, {} for an empty one; tries again while the server is busy, failing
        or silent.

        Raises ValueError when the server refuses the request, ConnectionError when it stays busy
        or silent.
        """
        url = f"{self._client.base_url}{path}"
        trouble = ""
        for attempt in range(ATTEMPTS):
            delay = min(FIRST_WAIT_S * 2**attempt, LONGEST_WAIT_S)
            try:
                response = self._client.request(method, path, json=body)
            except httpx.TransportError as error:
                trouble = f"{type(error).__name__}: {error}"
            else:
                if response.is_success:
                    return _json(response, url)
                trouble = f"{response.status_code}: {response.text[:200]}"
                if response.status_code not in RETRIED:
                    raise ValueError(f"{url} refuses the request with {trouble}")
                delay = _asked_delay(response, delay)
            if attempt + 1 < ATTEMPTS:
                self._wait(delay)
        raise ConnectionError(f"{url} does not answer after {ATTEMPTS} tries ({trouble})")


def messages(request: Request) -> list[dict[str, Any]]:
    """The request as chat messages, its images as data URLs."""
    content: list[dict[str, Any]] = [
        {"type": "image_url", "image_url": {"url": _data_url(image)}} for image in request.images
    ]
    content.append({"type": "text", "text": request.user})
    turns: list[dict[str, Any]] = [{"role": "user", "content": content}]
    if request.system:
        turns.insert(0, {"role": "system", "content": request.system})
    return turns


def _data_url(image: Image.Image) -> str:
    """PNG, so that the server sees the very pixels that were decoded here."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _asked_delay(response: httpx.Response, default: float) -> float:
    """Seconds that the server asks to wait, within our bound."""
    asked = response.headers.get("retry-after", "")
    return min(float(asked), LONGEST_WAIT_S) if asked.isdigit() else default


def _json(response: httpx.Response, url: str) -> dict[str, Any]:
    if not response.content:
        return {}
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise ConnectionError(f"{url} answers with something other than JSON")
    return answer
