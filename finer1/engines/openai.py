"""Generation by a server that speaks OpenAI's chat completions, such as vLLM.

    openai              the one model that the server has
    openai:<model>      the model of this name

Address and key come with the settings, images travel in the request as data URLs. What the model
says is never an error, be it empty or in the wrong language: that is for the filters.
"""

import threading
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import httpx

from finer1.engines.interface import EngineSettings, Request, Sample, Sampling, in_order
from finer1.serving.protocol import (
    IncompleteAnswer,
    JsonServer,
    as_ready,
    check_address,
    connect,
    messages,
)

_ENDED = frozenset({"", "stop", "eos", "eos_token", "end_turn", "stop_sequence"})
"""Finish reasons of a model that has said all; others cut it off, a content filter for one."""
_FAILED = frozenset({"abort", "error"})
"""Finish reasons of a server that did not get to the end."""


def load(settings: EngineSettings) -> "OpenAIEngine":
    """The engine for the server of the settings; asks it for its models where none is named.

    Raises ValueError when there is no address or no telling which model, ConnectionError when
    the server does not answer.
    """
    if settings.teacher is None:
        raise ValueError("the engine `openai` runs a teacher; it needs the section runtime.teacher")
    address = check_address(settings.server, "the engine `openai`", "FINER1_SERVER")
    client = connect(
        address, settings.api_key, may_use_proxy=True, timeout_s=settings.teacher.timeout_s
    )
    return OpenAIEngine(client, settings.named_model, settings.teacher.in_flight, threading.Event())


class OpenAIEngine:
    """One model of a server."""

    pads = False

    def __init__(
        self,
        client: httpx.Client,
        model: str | None,
        in_flight: int,
        stopping: threading.Event,
    ) -> None:
        """in_flight: requests under way at once. stopping: as in JsonServer."""
        self._server = JsonServer(client, stopping)
        self._in_flight = in_flight
        self._model = model or self._only_model()
        # Not the address: the same model elsewhere gives what is stored already.
        self.identity = f"openai:{self._model}"

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[list[Sample]]:
        """`sampling.n` samples for each request, in order; otherwise as `stream`."""
        return in_order(self.stream(requests, sampling))

    def stream(
        self, requests: Sequence[Request], sampling: Sampling
    ) -> Iterator[tuple[int, list[Sample]]]:
        """The place of each request with its samples, as they arrive.

        Raises ValueError when the server refuses a request, ConnectionError when it stays busy
        or silent, in both cases after the answers that were under way.
        """
        calls = [partial(self._samples, request, sampling) for request in requests]
        return as_ready(calls, self._in_flight, self._server.stopping)

    def _samples(self, request: Request, sampling: Sampling) -> list[Sample]:
        samples: list[Sample] = []
        while len(samples) < sampling.n:  # some servers give one choice whatever n says
            body = {
                "model": self._model,
                "messages": messages(request),
                "n": sampling.n - len(samples),
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "max_tokens": sampling.max_tokens,
                "seed": request.seed + len(samples),
            }
            samples += self._server.ask("POST", "chat/completions", body, _read_samples)
        return samples[: sampling.n]

    def _only_model(self) -> str:
        answer = self._server.call("GET", "models", None)
        names = sorted(str(item["id"]) for item in answer.get("data") or [])
        if len(names) != 1:
            raise ValueError(
                f"the server has {len(names)} models ({', '.join(names[:10])}); name one: "
                "engine: openai:<model>"
            )
        return names[0]


def _read_samples(answer: dict[str, Any]) -> list[Sample]:
    try:
        choices = list(answer.get("choices") or [])
        choices.sort(key=lambda choice: choice.get("index") or 0)
        reasons = [str(choice.get("finish_reason") or "").lower() for choice in choices]
        if not choices or _FAILED & set(reasons):
            raise IncompleteAnswer(f"no completion, {answer.get('error') or reasons}")
        total = (answer.get("usage") or {}).get("completion_tokens") or 0
        share, rest = divmod(total, len(choices))
        return [
            Sample(
                text=_text(choice.get("message") or {}),
                num_tokens=_own_tokens(choice, share + (place < rest)),
                finish_reason="stop" if reason in _ENDED else "length",
            )
            for place, (choice, reason) in enumerate(zip(choices, reasons, strict=True))
        ]
    except (AttributeError, KeyError, TypeError) as error:
        raise IncompleteAnswer(f"an answer of another form, {answer}") from error


def _text(message: dict[str, Any]) -> str:
    """What the model says, less its thoughts: plain, in parts, or a refusal in their place."""
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(part["text"] for part in content if part.get("type") == "text")
    text = str(content or message.get("refusal") or "")
    # Half of a pair of \u escapes, where an answer was cut, is no text that a file can hold.
    return text.encode(errors="replace").decode()


def _own_tokens(choice: dict[str, Any], share: int) -> int:
    """Tokens of a choice; where the server counts those of all choices together, its share."""
    ids = choice.get("token_ids")
    return len(ids) if ids else share
