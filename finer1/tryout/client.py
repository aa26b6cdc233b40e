"""The client of the endpoint of `finer1 serve` (finer1/endpoint)."""

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import httpx
from pydantic import TypeAdapter, ValidationError

from finer1.asking import Asking
from finer1.images import decode
from finer1.recognition.reading import Recognition, asked_about, read_recognition

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
        text = ""
        with self._stream({**self._chat(asked), "stream": True}) as lines:
            for piece in _pieces(lines):
                text += piece
                yield text

    def draw(self, asked: Asked) -> list[str]:
        """The completions that vote; none is asked for where there are no votes."""
        if not asked.votes:
            return []
        drawing = {
            "n": asked.votes,
            "temperature": asked.temperature,
            "top_p": self.served.asking.top_p,
        }
        found = self._ask("POST", "/chat/completions", {**self._chat(asked), **drawing})
        try:
            return [str(choice["message"]["content"]) for choice in found["choices"]]
        except (KeyError, TypeError) as error:
            raise ValueError(f"{self.url} is no endpoint of finer1 serve") from error

    def read(self, asked: Asked, raw: str, drawn: Sequence[str]) -> Recognition:
        """What a completion says, with the votes of those drawn; as /v1/recognize reads it."""
        way = asked_about(self.served.asking, asked.candidates, asked.category)
        return read_recognition(raw, way, asked.candidates, drawn)

    def body(self, found: Recognition) -> dict[str, object]:
        """A recognition in the form of /v1/recognize."""
        return {"model": self.served.name, **asdict(found)}

    def _chat(self, asked: Asked) -> dict[str, object]:
        """The body of a request, the same for the greedy completion and for votes."""
        way = asked_about(self.served.asking, asked.candidates, asked.category)
        content = [
            {"type": "image_url", "image_url": {"url": _data_url(asked.content)}},
            {"type": "text", "text": way.user},
        ]
        messages: list[dict[str, object]] = [{"role": "user", "content": content}]
        if way.system:
            messages.insert(0, {"role": "system", "content": way.system})
        return {"model": self.served.name, "messages": messages}

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
        if answer.is_error:
            self._http.close()  # the block is not entered, so that nothing else would
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
