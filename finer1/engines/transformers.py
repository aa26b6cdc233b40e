"""Generation by a transformers image-text-to-text model in this process.

transformers                        one of the project's own models
transformers:<folder>               a teacher, from a folder in the Hugging Face layout
transformers:<hub id>@<commit>      a teacher, from the files of the hub that are on this disk
"""

from collections.abc import Generator, Sequence
from threading import Event, Thread
from typing import Any, Literal

import torch
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    GenerationConfig,
    StoppingCriteria,
    StoppingCriteriaList,
    TextIteratorStreamer,
)

from finer1.chat import end_ids, needs_special_tokens, render_prompt, suppressed_ids
from finer1.engines.adapters import merge_adapter
from finer1.engines.interface import EngineSettings, Request, Sample, Sampling
from finer1.engines.local_models import LocalModel, find_model


def load(settings: EngineSettings) -> "TransformersEngine":
    """The engine for the model of the settings; raises ValueError as find_model."""
    return TransformersEngine(find_model("transformers", settings), settings.device)


def load_model(model: LocalModel, device: str) -> tuple[Any, Any, str]:
    """The model, ready to run, its processor, padding on the left, and the identity of both.

    bfloat16 on a GPU, float32 on a CPU; the identity names it with the content. device: cpu, cuda
    or auto.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    processor = AutoProcessor.from_pretrained(
        model.folder, padding_side="left", local_files_only=True, trust_remote_code=False
    )
    loaded = AutoModelForImageTextToText.from_pretrained(
        model.folder,
        dtype=dtype,
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
    )
    if model.adapter is not None:
        loaded = merge_adapter(loaded, model.adapter)
    name = str(dtype).removeprefix("torch.")
    return loaded.eval().to(device), processor, f"{name}:{model.identity}"


class TransformersEngine:
    """A loaded model; sampling is seeded by the requests, so equal calls give equal samples.

    How it samples is what the caller says and nothing else: penalties and the like of the
    folder's generation_config.json do not apply.
    """

    pads = True

    def __init__(self, model: LocalModel, device: str) -> None:
        self._model, self._processor, identity = load_model(model, device)
        self.identity = f"transformers:{identity}"
        tokenizer = self._processor.tokenizer
        self._stop_ids = end_ids(self._model.generation_config, self._processor)
        own_pad = self._model.generation_config.pad_token_id
        if tokenizer.pad_token_id is None:  # any will do: it is masked
            tokenizer.pad_token_id = self._stop_ids[0] if own_pad is None else own_pad
        self._model.generation_config = GenerationConfig(
            eos_token_id=list(self._stop_ids), pad_token_id=tokenizer.pad_token_id
        )
        self._suppressed_ids = suppressed_ids(self._model.config, tokenizer)

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[list[Sample]]:
        """`sampling.n` samples for each request, as one batch of len(requests) x n rows."""
        batch = self._encode(requests, sampling.n)
        with torch.random.fork_rng(), torch.inference_mode():
            torch.manual_seed(sum((i + 1) * r.seed for i, r in enumerate(requests)) % 2**63)
            tokens = self._model.generate(
                **batch,
                max_new_tokens=sampling.max_tokens,
                do_sample=sampling.temperature > 0,
                suppress_tokens=list(self._suppressed_ids),
                **_sampling_arguments(sampling),
            )[:, batch["input_ids"].shape[1] :]
        samples = [self._sample(row) for row in tokens.tolist()]
        return [samples[i : i + sampling.n] for i in range(0, len(samples), sampling.n)]

    def write(
        self, request: Request, sampling: Sampling
    ) -> Generator[str, None, Literal["stop", "length"]]:
        """The greedy completion of a request, word by word; returns why it ended.

        A reader that stops early has the writing stop at the next token.
        """
        streamer: Any = TextIteratorStreamer(
            self._processor.tokenizer, skip_prompt=True, skip_special_tokens=True
        )
        ended = Event()
        failed: list[BaseException] = []
        written: list[Sample] = []

        def work() -> None:
            try:
                batch = self._encode([request], 1)
                with torch.inference_mode():
                    tokens = self._model.generate(
                        **batch,
                        max_new_tokens=sampling.max_tokens,
                        do_sample=False,
                        suppress_tokens=list(self._suppressed_ids),
                        streamer=streamer,
                        stopping_criteria=StoppingCriteriaList([_Ended(ended)]),
                        **_sampling_arguments(sampling),
                    )
                written.append(self._sample(tokens[0, batch["input_ids"].shape[1] :].tolist()))
            except BaseException as error:  # the reader raises it
                failed.append(error)
                streamer.on_finalized_text("", stream_end=True)

        thread = Thread(target=work, daemon=True)
        thread.start()
        try:
            yield from (piece for piece in streamer if piece)
        finally:
            ended.set()
            thread.join()
        if failed:
            raise failed[0]
        return written[0].finish_reason

    def _encode(self, requests: Sequence[Request], count: int) -> Any:
        """The model's inputs, each request `count` times.

        Not by num_return_sequences: transformers 5.17 would then repeat each image of a prompt
        with several by itself, and give each row copies of one.
        """
        prompts, images = [], []
        for request in requests:
            pictures = list(request.images)
            prompt = render_prompt(self._processor, request.user, len(pictures), request.system)
            prompts += [prompt] * count
            images += [pictures] * count
        return self._processor(
            text=prompts,
            images=images if any(images) else None,
            padding=True,
            add_special_tokens=needs_special_tokens(prompts[0], self._processor.tokenizer),
            return_tensors="pt",
        ).to(self._model.device, self._model.dtype)

    def _sample(self, tokens: list[int]) -> Sample:
        stop = next((i for i, token in enumerate(tokens) if token in self._stop_ids), None)
        kept = tokens if stop is None else tokens[:stop]
        text = self._processor.tokenizer.decode(kept, skip_special_tokens=True)
        if stop is None:
            return Sample(text, len(kept), "length")
        return Sample(text, len(kept) + 1, "stop")


class _Ended(StoppingCriteria):
    """Nobody reads on."""

    def __init__(self, event: Event) -> None:
        self._event = event

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        """True [rows] once the event is set."""
        return torch.full((len(input_ids),), self._event.is_set(), device=input_ids.device)


def _sampling_arguments(sampling: Sampling) -> dict[str, float | int | None]:
    if sampling.temperature == 0:
        return {"temperature": None, "top_p": None, "top_k": None}
    return {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
