"""vLLM behind an address, started as setup/README.md says.

New weights travel as a file: server and trainer share a folder.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from finer1.engines.interface import Request, in_order
from finer1.policy.generation import Completion, SamplingRule
from finer1.serving.interface import Answer, logit_bias
from finer1.serving.protocol import JsonServer, as_ready, check_address, connect, messages

CONCURRENCY = 64
"""Requests under way at once; the server batches them."""
EXTENSION = "WeightReceiver"


class ServerModel:
    """The model of a running `python -m vllm.entrypoints.openai.api_server`."""

    def __init__(self, address: str | None, folder: Path, sleep_level: int) -> None:
        """address: up to and with /v1. folder: shared with the server, for weights on their way.
        sleep_level: for `sleep`; 0 never puts the server to sleep.

        Raises ValueError when there is no address or the server was started otherwise than
        setup/README.md says, ConnectionError when it does not answer.
        """
        checked = check_address(address, "runtime.engine: vllm_server", "FINER1_VLLM_SERVER")
        root = checked.rstrip("/").removesuffix("/v1")
        # It reads our files, so it is near; a proxy for the world outside would not find it.
        self._server = JsonServer(connect(root, None, may_use_proxy=False), threading.Event())
        self._folder = folder
        config = self._config(root)
        self._model = config["model_config"]["served_model_name"]
        self.number_format = config["model_config"]["dtype"].removeprefix("torch.")
        self._can_sleep = config["model_config"]["enable_sleep_mode"]
        self._sleep_level = sleep_level

    def generate(
        self, requests: Sequence[Request], counts: Sequence[int], rule: SamplingRule
    ) -> list[Answer]:
        """As in ServedModel."""
        return in_order(self.stream(requests, counts, rule))

    def stream(
        self, requests: Sequence[Request], counts: Sequence[int], rule: SamplingRule
    ) -> Iterator[tuple[int, Answer]]:
        """As in StreamingModel; a call per request, which carries its own image."""
        calls = [
            partial(self._answer, request, count, rule)
            for request, count in zip(requests, counts, strict=True)
        ]
        return as_ready(calls, CONCURRENCY, self._server.stopping)

    def load(self, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
        """As in ServedModel, by way of a file of the server's number format."""
        self._folder.mkdir(parents=True, exist_ok=True)
        dtype = getattr(torch, self.number_format)
        state = {name: value.detach().to("cpu", dtype).contiguous() for name, value in weights}
        save_file(state, self._folder / "model.safetensors")
        # Whoever had the server before may have left it asleep; awake, it stays as it is.
        if self._can_sleep:
            self._server.call("POST", "wake_up?tags=weights", None)
        body = {"method": "receive_weights", "kwargs": {"path": str(self._folder.resolve())}}
        self._server.call("POST", "collective_rpc", body)
        if self._can_sleep:
            self._server.call("POST", "wake_up?tags=kv_cache", None)
        # What was computed with the old weights: image features, keys and values (trl#7198).
        self._server.call("POST", "reset_encoder_cache", None)
        if not self._server.call("POST", "reset_prefix_cache", None).get("success"):
            raise RuntimeError("the vLLM server keeps keys and values of the old weights")

    def sleep(self) -> None:
        """Where the server was started with --enable-sleep-mode: give memory back."""
        if self._can_sleep and self._sleep_level:
            self._server.call("POST", f"sleep?level={self._sleep_level}", None)

    def _config(self, root: str) -> dict[str, Any]:
        """The server's own settings, checked."""
        how = f"start the vLLM server at {root} as setup/README.md says"
        try:
            answer = self._server.call("GET", "server_info?config_format=json", None)
        except ValueError as error:  # the path exists only with VLLM_SERVER_DEV_MODE=1
            raise ValueError(f"{how}: {error}") from error
        config = answer["vllm_config"]
        if EXTENSION not in str(config["parallel_config"]["worker_extension_cls"]):
            raise ValueError(f"{how}: it lacks --worker-extension-cls, so it cannot take weights")
        if config["model_config"]["logprobs_mode"] != "raw_logprobs":
            raise ValueError(f"{how}: --logprobs-mode must be raw_logprobs")
        return config

    def _answer(self, request: Request, count: int, rule: SamplingRule) -> Answer:
        answer = self._server.call("POST", "v1/chat/completions", self._body(request, count, rule))
        choices = sorted(answer["choices"], key=lambda choice: choice["index"])
        return Answer(
            prompt_ids=answer["prompt_token_ids"],
            completions=[
                Completion(
                    token_ids=choice["token_ids"],
                    logprobs=[item["logprob"] for item in choice["logprobs"]["content"]],
                )
                for choice in choices
            ],
        )

    def _body(self, request: Request, count: int, rule: SamplingRule) -> dict[str, Any]:
        return {
            "model": self._model,
            "messages": messages(request),
            "n": count,
            "seed": request.seed,
            "temperature": rule.temperature,
            "top_p": rule.top_p,
            # The server may have defaults of its own for these.
            "top_k": 0,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "max_completion_tokens": rule.max_tokens,
            "stop_token_ids": list(rule.stop_ids),
            "ignore_eos": True,  # the rule alone says what ends a completion
            "logit_bias": {str(token): bias for token, bias in logit_bias(rule).items()},
            "logprobs": True,
            "top_logprobs": 0,
            "return_token_ids": True,
        }
