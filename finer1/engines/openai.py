"""Generation by a server that speaks OpenAI's chat completions, such as vLLM.

    openai              the one model that the server has
    openai:<model>      the model of this name

Address and key come with the settings, images travel in the request as data URLs.
"""

import base64
import io
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from PIL import Image

from finer1.engines.interface import EngineSettings, Request, Sample, Sampling

CONCURRENCY = 16
"""Requests under way at once; servers batch them."""
RETRIED = frozenset({408, 429, 500, 502, 503, 504})
"""Status codes of a busy or failing server, as opposed to a wrong request."""
ATTEMPTS, FIRST_WAIT_S, LONGEST_WAIT_S = 7, 0.5, 30.0
"""Tries of a request, and the waits between them, which double."""
TIMEOUT = httpx.Timeout(600.0, connect=10.0)
"""Seconds; a long queue of a busy server is no failure."""


def load(settings: EngineSettings) -> "OpenAIEngine":
    """The engine for the server of the settings; asks it which models it has.

    Raises ValueError when there is no address or the model is not served, ConnectionError when
    the server does not answer.
    """
    if not (settings.server or "").startswith(("http://", "https://")):
        raise ValueError(
            f"the engine `openai` needs the address of a server, not {settings.server!r}: set "
            "FINER1_SERVER, such as http://127.0.0.1:8000/v1"
        )
    headers = {"Authorization": f"Bearer {settings.api_key}"} if settings.api_key else {}
    client = httpx.Client(
        base_url=f"{settings.server}".rstrip("/") + "/", headers=headers, timeout=TIMEOUT
    )
    return OpenAIEngine(client, settings.served_model, time.sleep)


class OpenAIEngine:
    """One model of a server."""

    pads = False

    def __init__(
        self, client: httpx.Client, model: str | None, wait: Callable[[float], None]
    ) -> None:
        self._client = client
        self._wait = wait
        self._model = model or self._only_model()
        # Not the address: the same model elsewhere gives what is stored already.
        self.identity = f"openai:{self._model}"

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[list[Sample]]:
        """`sampling.n` samples for each request, in order.

        Raises ValueError when the server refuses a request, ConnectionError when it stays busy
        or silent.
        """
        with ThreadPoolExecutor(CONCURRENCY) as pool:
            running = [pool.submit(self._samples, request, sampling) for request in requests]
            try:
                return [future.result() for future in running]
            finally:
                for future in running:  # after a failure, the waiting ones would fail in turn
                    future.cancel()

    def _samples(self, request: Request, sampling: Sampling) -> list[Sample]:
        samples: list[Sample] = []
        while len(samples) < sampling.n:  # some servers give one choice whatever n says
            body = {
                "model": self._model,
                "messages": _messages(request),
                "n": sampling.n - len(samples),
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "max_tokens": sampling.max_tokens,
                "seed": request.seed + len(samples),
            }
            samples += _read_samples(self._call("POST", "chat/completions", body))
        return samples[: sampling.n]

    def _only_model(self) -> str:
        answer = self._call("GET", "models", None)
        names = sorted(str(item["id"]) for item in answer.get("data", []))
        if len(names) != 1:
            raise ValueError(
                f"the server has {len(names)} models ({', '.join(names[:10])}); name one: "
                "engine: openai:<model>"
            )
        return names[0]

    def _call(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        """The answer's JSON; tries again while the server is busy, failing or silent."""
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


def _messages(request: Request) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = [
        {"type": "image_url", "image_url": {"url": _data_url(image)}} for image in request.images
    ]
    content.append({"type": "text", "text": request.user})
    messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
    if request.system:
        messages.insert(0, {"role": "system", "content": request.system})
    return messages


def _data_url(image: Image.Image) -> str:
    """PNG, so that the server sees the very pixels that were decoded here."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _read_samples(answer: dict[str, Any]) -> list[Sample]:
    choices = answer.get("choices") or []
    if not choices:
        raise ConnectionError("the server answers without a completion")
    # The server counts the tokens of all choices together; with more than one this is their mean.
    tokens = (answer.get("usage") or {}).get("completion_tokens") or 0
    return [
        Sample(
            text=choice["message"].get("content") or "",
            num_tokens=round(tokens / len(choices)),
            finish_reason="length" if choice.get("finish_reason") == "length" else "stop",
        )
        for choice in choices
    ]


def _asked_delay(response: httpx.Response, default: float) -> float:
    """Seconds that the server asks to wait, within our bound."""
    asked = response.headers.get("retry-after", "")
    return min(float(asked), LONGEST_WAIT_S) if asked.isdigit() else default


def _json(response: httpx.Response, url: str) -> dict[str, Any]:
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise ConnectionError(f"{url} answers with something other than JSON")
    return answer
