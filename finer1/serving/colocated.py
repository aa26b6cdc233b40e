"""vLLM in this process, on the same GPU or CPU as the trainer."""

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from transformers import AutoProcessor

from finer1.chat import needs_special_tokens, render_prompt
from finer1.engines.interface import Request
from finer1.model_params import VllmParams
from finer1.policy.generation import Completion, SamplingRule
from finer1.serving.interface import Answer, logit_bias

WORKER_EXTENSION = "finer1.serving.worker.WeightReceiver"
QUEUE = 256
"""Requests with vLLM at once in `stream`: it runs up to 256 sequences, and keeps the pixels of all
that wait."""


class ColocatedModel:
    """A model folder in vLLM, float32 on a CPU and bfloat16 on a GPU."""

    def __init__(
        self,
        folder: Path,
        device: str,
        settings: VllmParams,
        max_images: int = 1,
    ) -> None:
        """device: cpu or cuda. max_images: of a request, at most; the cache must hold their tokens.

        Raises ValueError when vLLM is not installed, would run in a process of its own, or does
        not know the model.
        """
        vllm = _import_vllm()
        self._vllm = vllm
        self._is_cuda = device == "cuda"
        self.number_format = "bfloat16" if self._is_cuda else "float32"
        self._sleep_level = settings.sleep_level if self._is_cuda else 0
        self._processor = AutoProcessor.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        _check_known(vllm, folder, self._processor)
        with unmoved_generators():
            self._llm = vllm.LLM(
                model=str(folder),
                trust_remote_code=False,
                dtype=self.number_format,
                max_model_len=-1,  # the model's own, or what the cache can hold of it
                generation_config="vllm",  # the folder's penalties and the like do not apply
                limit_mm_per_prompt={"image": max_images, "video": 0},
                logprobs_mode="raw_logprobs",
                worker_extension_cls=WORKER_EXTENSION,
                tensor_parallel_size=settings.tensor_parallel,
                mm_encoder_tp_mode="data",  # the vision tower is small: whole on each GPU
                seed=0,
                **self._machine(settings),
            )

    def generate(
        self, requests: Sequence[Request], counts: Sequence[int], rule: SamplingRule
    ) -> list[Answer]:
        """As in ServedModel; one call of vLLM, which batches and shares prompts as it sees fit."""
        prompts = [self._prompt(request) for request in requests]
        parameters = [
            self._parameters(rule, request.seed, count)
            for request, count in zip(requests, counts, strict=True)
        ]
        with self._own_precision():
            outputs = self._llm.generate(prompts, parameters, use_tqdm=False)
        return [_answer(output) for output in outputs]

    def stream(
        self, requests: Sequence[Request], counts: Sequence[int], rule: SamplingRule
    ) -> Iterator[tuple[int, Answer]]:
        """As in StreamingModel. vLLM has all requests, up to QUEUE, and batches them itself."""
        engine = self._llm.llm_engine
        waiting = iter(enumerate(zip(requests, counts, strict=True)))
        places: dict[str, int] = {}
        try:
            while True:
                for place, (request, count) in islice(waiting, QUEUE - len(places)):
                    parameters = self._parameters(rule, request.seed, count)
                    (name,) = self._llm.enqueue(
                        [self._prompt(request)], [parameters], use_tqdm=False
                    )
                    places[_outer_name(name)] = place
                if not places:
                    return
                with self._own_precision():
                    outputs = engine.step()
                for output in outputs:
                    if output.finished:
                        yield places.pop(output.request_id), _answer(output)
        finally:
            engine.abort_request(list(places))

    def load(self, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
        """As in ServedModel. The tensors are handed over as they are, without a file."""
        if self._sleep_level:
            self._llm.wake_up(tags=["weights"])
        self._llm.collective_rpc("receive_weights", kwargs={"weights": weights})
        if self._sleep_level:
            self._llm.wake_up(tags=["kv_cache"])
        # An image seen before must not keep its old features (trl#7198). The worker drops them
        # while it reloads; the scheduler would still count on them.
        self._llm.llm_engine.reset_encoder_cache()
        if not self._llm.reset_prefix_cache():
            raise RuntimeError("vLLM keeps keys and values of the old weights")

    def sleep(self) -> None:
        """On a GPU: give back the cache, and the weights as `runtime.vllm.sleep_level` says."""
        if self._sleep_level:
            self._llm.sleep(level=self._sleep_level)

    def _machine(self, settings: VllmParams) -> dict[str, Any]:
        """vLLM's arguments that depend on where it runs."""
        if self._is_cuda:
            machine: dict[str, Any] = {
                "gpu_memory_utilization": settings.memory_share,
                "enable_sleep_mode": self._sleep_level > 0,
            }
        else:
            machine = {
                "kv_cache_memory_bytes": settings.cpu_cache_mib * 2**20,
                "enforce_eager": True,
                # vLLM 0.31 rewinds the generator of a prompt cut in two, which fails on a CPU.
                "enable_chunked_prefill": False,
            }
        if dist.is_initialized() and dist.get_world_size() > 1:
            # One vLLM per process, each on its own GPU; else all would take the first.
            machine["distributed_executor_backend"] = "external_launcher"
        return machine

    @contextmanager
    def _own_precision(self) -> Iterator[None]:
        """While vLLM computes."""
        with ExitStack() as stack:
            # The trainer's number format is not vLLM's.
            device = "cuda" if self._is_cuda else "cpu"
            stack.enter_context(torch.autocast(device, enabled=False))
            if not self._is_cuda:
                # vLLM compiles the ranking of log-probabilities: 4 to 18 s and a C++ compiler.
                stack.enter_context(torch.compiler.set_stance("force_eager"))
            yield

    def _prompt(self, request: Request) -> dict[str, Any]:
        """One image token per image: vLLM expands it itself, and one expanded already twice."""
        images, tokenizer = list(request.images), self._processor.tokenizer
        text = render_prompt(self._processor, request.user, len(images), request.system)
        is_bare = needs_special_tokens(text, tokenizer)
        ids = tokenizer(text, add_special_tokens=is_bare)["input_ids"]
        prompt: dict[str, Any] = {"prompt_token_ids": ids}
        if images:
            prompt["multi_modal_data"] = {"image": images}
        return prompt

    def _parameters(self, rule: SamplingRule, seed: int, count: int) -> Any:
        return self._vllm.SamplingParams(
            n=count,
            seed=seed,
            temperature=rule.temperature,
            top_p=rule.top_p,
            max_tokens=rule.max_tokens,
            stop_token_ids=list(rule.stop_ids),
            ignore_eos=True,  # the rule alone says what ends a completion
            logit_bias=logit_bias(rule),
            logprobs=0,  # of the drawn token alone
            detokenize=False,
        )


@contextmanager
def unmoved_generators() -> Iterator[None]:
    """Give Python's, numpy's and torch's generators back as they were: vLLM seeds them all."""
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


def _outer_name(name: str) -> str:
    """The name that the output will bear; within, vLLM adds `-<8 random characters>`."""
    return name.partition("-")[0]


def _answer(output: Any) -> Answer:
    return Answer(
        prompt_ids=list(output.prompt_token_ids),
        completions=[_completion(part) for part in output.outputs],
    )


def _completion(output: Any) -> Completion:
    ids = list(output.token_ids)
    chosen = [entry[token].logprob for token, entry in zip(ids, output.logprobs, strict=True)]
    return Completion(ids, chosen)


def _check_known(vllm: Any, folder: Path, processor: Any) -> None:
    """Raise ValueError for a model that vLLM cannot run.

    What it has no class for it runs with that of transformers, where the processor tells how many
    tokens an image takes (vLLM 0.31).
    """
    names = json.loads((folder / "config.json").read_text(encoding="utf-8"))["architectures"]
    is_known = set(names) & set(vllm.ModelRegistry.get_supported_archs())
    if not is_known and not hasattr(processor, "_get_num_multimodal_tokens"):
        raise ValueError(
            f"{folder}: vLLM {vllm.__version__} does not run {names[0]}; take the engine "
            "`transformers`"
        )


def _import_vllm() -> Any:
    try:
        import vllm
        import vllm.envs
    except ImportError as error:
        raise ValueError(
            f"the engine `vllm` needs the package vllm ({error}); setup/README.md says how to "
            "install it, or take the engine `transformers`"
        ) from error
    if vllm.envs.VLLM_ENABLE_V1_MULTIPROCESSING:
        raise ValueError("vLLM must run in this process: set VLLM_ENABLE_V1_MULTIPROCESSING=0")
    return vllm
