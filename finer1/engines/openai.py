"""Generation by a server that speaks OpenAI's chat completions, such as vLLM.

    openai              the one model that the server has
    openai:<model>      the model of this name

Address and key come with the settings, images travel in the request as data URLs.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import httpx

from finer1.engines.interface import EngineSettings, Request, Sample, Sampling
from finer1.serving.protocol import JsonServer, call_all, check_address, connect, messages

CONCURRENCY = 16
"""Requests under way at once; servers batch them."""


def load(settings: EngineSettings) -> "OpenAIEngine":
    """The engine for the server of the settings; asks it which models it has.

    Raises ValueError when there is no address or the model is not served, ConnectionError when
    the server does not answer.
    """
    address = check_address(settings.server, "the engine `openai`", "FINER1_SERVER")
    client = connect(address, settings.api_key, may_use_proxy=True)
    return OpenAIEngine(client, settings.served_model, time.sleep)


class OpenAIEngine:
    """One model of a server."""

    pads = False

    def __init__(
        self, client: httpx.Client, model: str | None, wait: Callable[[float], None]
    ) -> None:
        self._server = JsonServer(client, wait)
        self._model = model or self._only_model()
        # Not the address: the same model elsewhere gives what is stored already.
        self.identity = f"openai:{self._model}"

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[list[Sample]]:
        """`sampling.n` samples for each request, in order.

        Raises ValueError when the server refuses a request, ConnectionError when it stays busy
        or silent.
        """
        return call_all(
            [partial(self._samples, request, sampling) for request in requests], CONCURRENCY
        )

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
            samples += _read_samples(self._server.call("POST", "chat/completions", body))
        return samples[: sampling.n]

    def _only_model(self) -> str:
        answer = self._server.call("GET", "models", None)
        names = sorted(str(item["id"]) for item in answer.get("data", []))
        if len(names) != 1:
            raise ValueError(
                f"the server has {len(names)} models ({', '.join(names[:10])}); name one: "
                "engine: openai:<model>"
            )
        return names[0]


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
