"""How GRPOTrainer prepares and samples with transformers: a row, and an image, per completion."""

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from transformers import GenerationConfig

from finer1.chat import chat_messages, stop_ids
from finer1.policy.generation import SamplingRule
from finer1.tapo.rewards import score_completion
from finer1.tapo.rollouts import RolloutGroup, RolloutSampler


def process_rows(
    sampler: RolloutSampler, questions: Sequence[str], images: Sequence[Image.Image]
) -> Any:
    """One run of the processor over all rows, padded on the left."""
    processor = sampler.processor
    texts = [
        processor.apply_chat_template(
            chat_messages(question, 1, sampler.system), add_generation_prompt=True, tokenize=False
        )
        for question in questions
    ]
    return processor(
        text=texts,
        images=[[image] for image in images],
        padding=True,
        padding_side="left",
        return_tensors="pt",
    )


def rollout_rows(groups: Sequence[RolloutGroup], sampler: RolloutSampler) -> tuple[Any, Any]:
    """Questions and images of the rows of a step."""
    n1, n2 = sampler.settings.anchor_rollouts, sampler.settings.positive_rollouts
    prompts = [group.prompt for group in groups]
    questions = [prompt.question for prompt in prompts for _ in range(n1 + n2)]
    pairs = [[prompt.anchor] * n1 + [prompt.positive] * n2 for prompt in prompts]
    return questions, [image for pair in pairs for image in pair]


def generate_rows(groups: Sequence[RolloutGroup], sampler: RolloutSampler) -> int:
    """Process, sample, decode and score as many rollouts; the number of completion tokens."""
    inputs = process_rows(sampler, *rollout_rows(groups, sampler))
    width = inputs["input_ids"].shape[1]
    with torch.no_grad():
        rows = sampler.model.generate(
            **inputs, generation_config=_generation_config(sampler.model, sampler.rule)
        )[:, width:]
    stops = torch.tensor(stop_ids(sampler.model.generation_config))
    ended = torch.isin(rows, stops).int()
    mask = ended.cumsum(dim=1) - ended == 0
    tokens = [row[seen].tolist() for row, seen in zip(rows, mask, strict=True)]
    texts = sampler.processor.tokenizer.batch_decode(tokens, skip_special_tokens=True)
    size = len(texts) // len(groups)
    for place, text in enumerate(texts):
        prompt = groups[place // size].prompt
        score_completion(text, prompt.label, prompt.labels, sampler.settings)
    return int(mask.sum())


def _generation_config(model: Any, rule: SamplingRule) -> GenerationConfig:
    """As GRPOTrainer makes it."""
    return GenerationConfig(
        max_new_tokens=rule.max_tokens,
        do_sample=True,
        temperature=rule.temperature,
        top_p=rule.top_p,
        suppress_tokens=list(rule.suppressed_ids),
        eos_token_id=list(rule.stop_ids),
        pad_token_id=model.generation_config.pad_token_id,
        disable_compile=True,
    )
