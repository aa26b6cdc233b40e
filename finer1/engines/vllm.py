"""Generation by vLLM in this process; for one of the project's own models."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoProcessor, GenerationConfig

from finer1.chat import stop_ids, suppressed_ids
from finer1.engines.interface import EngineSettings, Request, Sample, Sampling
from finer1.files import sha256_folder
from finer1.policy.folder import pick_device
from finer1.policy.generation import SamplingRule
from finer1.serving.interface import ServedModel


def load(settings: EngineSettings) -> "VllmEngine":
    """The engine for the model folder of the settings.

    Raises ValueError when there is none or vLLM is not installed.
    """
    from finer1.serving.colocated import ColocatedModel

    if settings.model is None or settings.vllm is None:
        raise ValueError("the engine `vllm` needs a model folder and the section runtime.vllm")
    served = ColocatedModel(settings.model, pick_device(settings.device), settings.vllm)
    return VllmEngine(served, settings.model)


class VllmEngine:
    """A served model; sampling is seeded per request."""

    pads = False

    def __init__(self, served: ServedModel, folder: Path) -> None:
        """folder: of the model that is served."""
        self.identity = f"vllm:{served.number_format}:{sha256_folder(folder)}"
        self._served = served
        self._tokenizer: Any = AutoProcessor.from_pretrained(
            folder, local_files_only=True
        ).tokenizer
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        self._suppressed_ids = suppressed_ids(config, self._tokenizer)
        generation = GenerationConfig.from_pretrained(folder, local_files_only=True)
        self._stop_ids = stop_ids(generation)

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[list[Sample]]:
        """`sampling.n` samples for each request, in order."""
        rule = SamplingRule(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_tokens,
            stop_ids=self._stop_ids,
            suppressed_ids=self._suppressed_ids,
        )
        answers = self._served.generate(requests, [sampling.n] * len(requests), rule)
        return [
            [self._sample(completion.token_ids) for completion in answer.completions]
            for answer in answers
        ]

    def _sample(self, tokens: list[int]) -> Sample:
        is_ended = tokens[-1] in self._stop_ids
        text = self._tokenizer.decode(tokens[: len(tokens) - is_ended], skip_special_tokens=True)
        return Sample(text, len(tokens), "stop" if is_ended else "length")
