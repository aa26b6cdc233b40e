"""Generation by vLLM in this process, with as many GPUs as a teacher needs.

vllm                        one of the project's own models
vllm:<folder>               a teacher, from a folder in the Hugging Face layout
vllm:<hub id>@<commit>      a teacher, from the files of the hub that are on this disk
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoProcessor, GenerationConfig

from finer1.chat import end_ids, suppressed_ids
from finer1.engines.adapters import merged_folder
from finer1.engines.interface import EngineSettings, Request, Sample, Sampling, in_order
from finer1.engines.local_models import LocalModel, find_model
from finer1.model_params import TeacherParams, VllmParams
from finer1.policy.folder import pick_device
from finer1.policy.generation import SamplingRule
from finer1.serving.interface import StreamingModel


def load(settings: EngineSettings) -> "VllmEngine":
    """The engine for the model of the settings.

    Raises ValueError as find_model and merged_folder, and when vLLM is not installed.
    """
    from finer1.serving.colocated import ColocatedModel

    model = find_model("vllm", settings)
    folder = model.folder
    if model.adapter is not None:
        if settings.scratch is None:
            raise ValueError("the engine `vllm` needs a scratch folder for a model with adapters")
        folder = merged_folder(model, settings.scratch)
    memory = settings.vllm if settings.teacher is None else _memory(settings.teacher)
    if memory is None:
        raise ValueError("the engine `vllm` needs the section runtime.vllm or runtime.teacher")
    device = pick_device(settings.device)
    served = ColocatedModel(folder, device, memory, settings.max_images)
    return VllmEngine(served, model)


def _memory(teacher: TeacherParams) -> VllmParams:
    """Of a teacher, which no trainer shares the machine with."""
    return VllmParams(
        memory_share=teacher.memory_share,
        sleep_level=0,
        cpu_cache_mib=teacher.cpu_cache_mib,
        tensor_parallel=teacher.tensor_parallel,
    )


def _generation_config(folder: Path, config: Any) -> Any:
    """Of the model; some have theirs in config.json alone."""
    if (folder / "generation_config.json").is_file():
        return GenerationConfig.from_pretrained(folder, local_files_only=True)
    return GenerationConfig.from_model_config(config)


class VllmEngine:
    """A served model; sampling is seeded per request."""

    pads = False

    def __init__(self, served: StreamingModel, model: LocalModel) -> None:
        """model: the one that is served."""
        folder = model.folder
        self.identity = f"vllm:{served.number_format}:{model.identity}"
        self._served = served
        processor: Any = AutoProcessor.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        self._tokenizer: Any = processor.tokenizer
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        self._suppressed_ids = suppressed_ids(config, self._tokenizer)
        self._stop_ids = end_ids(_generation_config(folder, config), processor)

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[list[Sample]]:
        """`sampling.n` samples for each request, in order."""
        return in_order(self.stream(requests, sampling))

    def stream(
        self, requests: Sequence[Request], sampling: Sampling
    ) -> Iterator[tuple[int, list[Sample]]]:
        """The place of each request with its samples, as they are finished."""
        rule = SamplingRule(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_tokens,
            stop_ids=self._stop_ids,
            suppressed_ids=self._suppressed_ids,
        )
        for place, answer in self._served.stream(requests, [sampling.n] * len(requests), rule):
            yield place, [self._sample(item.token_ids) for item in answer.completions]

    def _sample(self, tokens: list[int]) -> Sample:
        is_ended = tokens[-1] in self._stop_ids
        text = self._tokenizer.decode(tokens[: len(tokens) - is_ended], skip_special_tokens=True)
        return Sample(text, len(tokens), "stop" if is_ended else "length")
