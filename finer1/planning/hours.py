"""Tokens and GPU-hours of each stage: computed from counts, a GPU's data sheet and assumptions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from finer1.params import Params
from finer1.planning.architecture import Architecture
from finer1.planning.assumptions import OPTIONS_TOKENS, VLLM_SEQUENCES, Gpu
from finer1.planning.counts import Counts, sampled_groups
from finer1.planning.fit import Machine
from finer1.planning.flops import (
    compute_hours,
    decode_hours,
    image_flops,
    packed_flops,
    row_flops,
    trained_flops,
)
from finer1.planning.generating import vllm_slots
from finer1.planning.stage_training import group_size, update_shape


@dataclass(frozen=True)
class Effort:
    """What one stage takes."""

    stage: str
    generated: int
    """Tokens."""
    trained: int
    """Completion tokens in a loss, each once however many conditions it is scored under."""
    hours: float | None
    """GPU-hours; None where a server or another model does the work."""


def list_efforts(
    params: Params, model: Architecture, counts: Counts, machine: Machine, gpu: Gpu
) -> list[Effort]:
    """The stages that generate or train."""
    concepts = counts.captions * params.concepts.max_tokens
    efforts = [Effort("concepts", concepts, 0, None)]
    if params.cot.source == "teacher":
        asked = counts.rationales_asked * counts.rationale.mean
        efforts.append(Effort("cot", asked, 0, None))
    if counts.sft_steps:
        efforts.append(_sft(params, model, counts, gpu))
    if params.tapo.steps:
        efforts.append(_tapo(params, model, counts, machine, gpu))
    efforts.append(_predict(params, model, counts, machine, gpu))
    return efforts


def total_hours(efforts: Sequence[Effort]) -> float:
    """GPU-hours of the stages that have any."""
    return sum(effort.hours or 0.0 for effort in efforts)


def _sft(params: Params, model: Architecture, counts: Counts, gpu: Gpu) -> Effort:
    rows = counts.sft_steps * params.sft.batch_size
    length = counts.rationale.mean
    flops = trained_flops(
        row_flops(model, counts.prompt.mean + length, length),
        image_flops(model.tower, 4 * counts.image.mean),
        params.runtime.gradient_checkpointing,
        params.sft.train_vision,
    )
    return Effort("sft", 0, rows * length, compute_hours(rows * flops, gpu))


def _tapo(
    params: Params, model: Architecture, counts: Counts, machine: Machine, gpu: Gpu
) -> Effort:
    """Sampling, old log-probabilities from the second update on, and the updates."""
    settings, size = params.tapo, group_size(params)
    groups, sampled = settings.steps * settings.prompts_per_step, sampled_groups(params)
    shape = replace(
        update_shape(params, counts),
        groups=1,
        prompt_tokens=counts.prompt.mean,
        completion_tokens=counts.rollout.mean,
    )
    image = image_flops(model.tower, 4 * counts.image.mean)
    update = trained_flops(
        packed_flops(model, shape),
        shape.conditions * image,
        params.runtime.gradient_checkpointing,
        settings.train_vision,
    )
    one = packed_flops(model, replace(shape, conditions=1)) + image
    scored = (settings.minibatches - 1) / settings.minibatches + (
        settings.inter_class_coef > 0 and not settings.negative_gradient
    )
    conditions = bool(settings.anchor_rollouts) + bool(settings.positive_rollouts)
    prompts = conditions * (row_flops(model, counts.prompt.mean, 0) + image)
    hours = compute_hours(groups * (update + scored * one) + sampled * prompts, gpu)
    hours += _decoding(params, model, counts, machine, gpu, sampled * size, counts.rollout.mean)
    generated = sampled * size * counts.rollout.mean
    return Effort("tapo", generated, groups * size * counts.rollout.mean, hours)


def _predict(
    params: Params, model: Architecture, counts: Counts, machine: Machine, gpu: Gpu
) -> Effort:
    """The base, stage 1 and stage 2 on all questions; sampled votes besides the greedy answer."""
    votes, models = params.predict.votes, 3 + len(params.predict.models)
    voted = min(
        counts.questions,
        2 * votes.images_per_class * sum(d.seen + d.unseen for d in counts.datasets.values()),
    )
    asked = models * counts.questions + len(votes.models) * voted * votes.samples
    prompt = counts.prompt.mean + OPTIONS_TOKENS
    reading = row_flops(model, prompt, 0) + image_flops(model.tower, 4 * counts.image.mean)
    hours = compute_hours(asked * reading, gpu)
    hours += _decoding(params, model, counts, machine, gpu, asked, counts.answer.mean)
    return Effort("predict", asked * counts.answer.mean, 0, hours)


def _decoding(
    params: Params,
    model: Architecture,
    counts: Counts,
    machine: Machine,
    gpu: Gpu,
    completions: int,
    tokens: int,
) -> float:
    runtime, prompt = params.runtime, counts.prompt.mean
    at_once = runtime.batch_size
    if runtime.engine != "transformers":
        share = runtime.vllm.memory_share if runtime.engine == "vllm" else 1.0
        slots = vllm_slots(model, share, machine.gpu_bytes, prompt + tokens)
        at_once = max(1, min(slots, math.ceil(completions / machine.gpus), VLLM_SEQUENCES))
    is_transformers = runtime.engine == "transformers"
    return decode_hours(model, gpu, completions, tokens, prompt, at_once, is_transformers)
