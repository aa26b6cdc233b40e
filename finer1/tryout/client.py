"""The client of the endpoint of `finer1 serve` (finer1/endpoint)."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import TypeAdapter, ValidationError

from finer1.asking import Asking
from finer1.images import decode
from finer1.recognition.reading import Recognition, asked_about

_PATIENCE_S = httpx.Timeout(180, connect=10)
"""The endpoint itself gives up after less."""


@dataclass(frozen=True)
class Served:
    """What the endpoint serves."""

    name: str
    identity: str
    """Engine, number format and content of the weights."""
    asking: Asking


@dataclass(frozen=True)
class Asked:
    """One image and how it is asked about."""

    content: bytes
    """Of the image's file."""
    candidates: tuple[str, ...]
    """Names to choose among; none for an open question."""
    category: str
    """Word for what it shows."""
    votes: int
    """Answers drawn beside the greedy one."""
    temperature: float
    """Of these."""


@dataclass(frozen=True)
class Answer:
    """What came of it."""

    found: Recognition
    num_tokens: int
    """Generated for the greedy completion; 0 where the server does not say."""
    body: dict[str, Any]
    """As the endpoint gave it."""


class Client:
    """Asks one endpoint.

    Every call raises ValueError with the endpoint's own words when it refuses, OSError when it
    does not answer.
    """

    def __init__(self, url: str, key: str | None) -> None:
        """url: up to and with /v1. key: what it asks for as bearer token."""
        self.url = url.rstrip("/")
        self._headers = {"authorization": f"Bearer {key}"} if key else {}
        self._served: Served | None = None

    @property
    def served(self) -> Served:
        """Asked for once."""
        if self._served is None:
            self._served = _read_served(self._ask("GET", "/models"), self.url)
        return self._served

    def prompt(self, asked: Asked) -> str:
        """All of the text that the image is asked with."""
        return asked_about(self.served.asking, asked.candidates, asked.category).prompt

    def write(self, asked: Asked) -> Iterator[str]:
        """The greedy completion so far, again and again as it is written."""
        way = asked_about(self.served.asking, asked.candidates, asked.category)
        content = [
            {"type": "image_url", "image_url": {"url": _data_url(asked.content)}},
            {"type": "text", "text": way.user},
        ]
        messages = [{"role": "user", "content": content}]
        if way.system:
            messages.insert(0, {"role": "system", "content": way.system})
        body = {"model": self.served.name, "messages": messages, "stream": True}
        text = ""
        with self._stream(body) as lines:
            for piece in _pieces(lines):
                text += piece
                yield text

    def recognize(self, asked: Asked) -> Answer:
        """The greedy answer and the votes."""
        body: dict[str, object] = {
            "image": _data_url(asked.content),
            "candidates": list(asked.candidates),
            "category": asked.category,
            "votes": asked.votes,
            "temperature": asked.temperature,
        }
        found = self._ask("POST", "/recognize", body)
        return Answer(
            Recognition(
                answer=found["answer"],
                candidates=tuple(found["candidates"]),
                sections=found["sections"],
                votes=found["votes"],
                raw=found["raw"],
            ),
            found["tokens"],
            found,
        )

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        try:
            answer = httpx.request(
                method,
                f"{self.url}{path}",
                json=body,
                headers=self._headers,
                timeout=_PATIENCE_S,
                trust_env=False,
            )
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise self._silent(error) from error
        _check(answer)
        try:
            return answer.json()
        except ValueError as error:
            raise ValueError(f"{self.url} is no endpoint of finer1 serve") from error

    def _stream(self, body: object) -> "_Lines":
        return _Lines(self, f"{self.url}/chat/completions", body, self._headers)

    def _silent(self, error: Exception) -> OSError:
        return OSError(f"the endpoint {self.url} does not answer ({error})")


class _Lines:
    """The lines of a streamed answer; leaving the block ends it, and the writing with it."""

    def __init__(self, client: Client, url: str, body: object, headers: dict[str, str]) -> None:
        self._client = client
        self._http = httpx.Client(timeout=_PATIENCE_S, trust_env=False)
        self._request = self._http.build_request("POST", url, json=body, headers=headers)

    def __enter__(self) -> Iterator[str]:
        try:
            answer = self._http.send(self._request, stream=True)
            if answer.is_error:
                answer.read()
        except httpx.TransportError as error:
            self._http.close()
            raise self._client._silent(error) from error
        _check(answer)
        return self._read(answer)

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def _read(self, answer: httpx.Response) -> Iterator[str]:
        try:
            yield from answer.iter_lines()
        except httpx.TransportError as error:
            raise self._client._silent(error) from error


def _pieces(lines: Iterator[str]) -> Iterator[str]:
    """The texts of server-sent events in OpenAI's form; raises ValueError for an error among."""
    for line in lines:
        if not line.startswith("data: ") or line == "data: [DONE]":
            continue
        event = json.loads(line.removeprefix("data: "))
        if "error" in event:
            raise ValueError(event["error"]["message"])
        yield event["choices"][0]["delta"].get("content") or ""


def _check(answer: httpx.Response) -> None:
    """Raise ValueError for a refusal, with the endpoint's reason where it gives one."""
    if not answer.is_error:
        return
    try:
        reason = str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        reason = f"the endpoint answered with status {answer.status_code}"
    raise ValueError(reason)


def _read_served(models: Any, url: str) -> Served:
    try:
        (model,) = models["data"]
        asking = TypeAdapter(Asking).validate_python(model["asking"])
        return Served(model["id"], model["identity"], asking)
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise ValueError(
            f"{url} is no endpoint of finer1 serve: it does not say how its model is asked; "
            "start one by `finer1 serve`, and name it by --url"
        ) from error


def _data_url(content: bytes) -> str:
    """The file in an address. Raises ValueError when it is no image that may be shown."""
    kind = decode(content).format.lower()
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
