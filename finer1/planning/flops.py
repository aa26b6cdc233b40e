"""FLOPs of forward passes, by formula, and the seconds that generation takes.

decoder   D per token, A per (query, key) pair
head      H per scored position
tower     E per image
"""

import math

from finer1.planning.activations import Completions
from finer1.planning.architecture import Architecture, Tower
from finer1.planning.assumptions import BANDWIDTH_SHARE, MFU, TRANSFORMERS_LAYER_S, Gpu


def row_flops(model: Architecture, tokens: int, scored: int) -> float:
    """Decoder and head of one row in a forward pass, attention over its causal half."""
    return _decoder(model, tokens, tokens * tokens / 2, scored)


def packed_flops(model: Architecture, shape: Completions) -> float:
    """Decoder and head of prompts with their completions, each prompt once."""
    n, prompt, length = shape.rollouts, shape.prompt_tokens, shape.completion_tokens
    tokens = prompt + n * length
    pairs = prompt * prompt / 2 + n * (prompt * length + length * length / 2)
    branches = shape.groups * shape.conditions
    return branches * _decoder(model, tokens, pairs, n * length)


def image_flops(tower: Tower, patches: float) -> float:
    """The tower on one image."""
    blocks = tower.patch_values * tower.hidden + tower.depth * tower.block_linear
    linear = blocks + tower.merger_linear / 4
    windowed = (tower.depth - tower.full_blocks) * min(patches, tower.window**2)
    pairs = tower.full_blocks * patches + windowed
    return patches * (2 * linear + 4 * tower.hidden * pairs)


def trained_flops(
    decoder: float, images: float, is_checkpointed: bool, train_vision: bool
) -> float:
    """Forward and backward of what takes so many FLOPs in a forward pass, recomputation included:
    a backward is two forwards, checkpointing one more; a frozen tower runs forward alone."""
    passes = 4 if is_checkpointed else 3
    return passes * decoder + (passes if train_vision else 1) * images


def compute_hours(flops: float, gpu: Gpu) -> float:
    """GPU-hours of training and prompt passes."""
    return flops / (gpu.tflops * 1e12 * MFU) / 3600


def decode_hours(
    model: Architecture,
    gpu: Gpu,
    completions: float,
    tokens: int,
    prompt: int,
    at_once: int,
    is_transformers: bool,
) -> float:
    """GPU-hours of generating `completions` of `tokens` each after prompts of `prompt` tokens.

    A token of all `at_once` sequences takes a reading of weights and cache, or the compute, or in
    transformers its launches, whichever is longest.
    """
    weights = 2 * (model.decoder.layers * model.decoder.layer_linear + model.decoder.embedding)
    cache = at_once * kv_bytes(model) * (prompt + tokens / 2)
    reading = (weights + cache) / (gpu.terabytes_per_s * 1e12 * BANDWIDTH_SHARE)
    computing = at_once * weights / (gpu.tflops * 1e12 * MFU)
    least = model.decoder.layers * TRANSFORMERS_LAYER_S if is_transformers else 0.0
    return math.ceil(completions / at_once) * tokens * max(reading, computing, least) / 3600


def kv_bytes(model: Architecture, size: int = 2) -> int:
    """Cache of keys and values per token, `size` bytes a number: 36,864 for Qwen2.5-VL-3B."""
    return 2 * model.decoder.layers * model.decoder.kv_width * size


def _decoder(model: Architecture, tokens: float, pairs: float, scored: float) -> float:
    decoder = model.decoder
    linear = 2 * decoder.layers * decoder.layer_linear * tokens
    attention = 4 * decoder.layers * decoder.hidden * pairs
    return linear + attention + 2 * scored * decoder.embedding
