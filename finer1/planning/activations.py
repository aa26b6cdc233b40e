"""What a training forward keeps for its backward, by part of the model, in bytes.

Counted tensor by tensor as autograd saves them, in float32 and under bfloat16 autocast with float32
weights (`mixed`), in which a linear layer saves a copy of its own of its input, and one of its
weights. docs/planning.md says how this was held against measurement.

Shape letters: h hidden, i intermediate, c hidden of the tower.
"""

from dataclasses import dataclass

from finer1.planning.architecture import Decoder, Tower

FLOAT, HALF = 4, 2
"""Bytes of a number in float32 and bfloat16."""


@dataclass(frozen=True)
class Forward:
    """What goes through the model at once."""

    tokens: int
    """In the decoder, padding included."""
    keys: int
    """Places of keys that attention is given: a packed row copies a prompt's for each of its
    completions."""
    key_width: int
    """Width of a kept key: all heads where SDPA repeats those that are shared."""
    scored: int
    """Positions in the head."""
    patches: int
    """In the tower."""


@dataclass(frozen=True)
class Completions:
    """Prompts of one length and their completions of one length, under each condition."""

    groups: int
    prompt_tokens: int
    """P, image tokens included."""
    rollouts: int
    """Completions of a prompt (n)."""
    completion_tokens: int
    """T"""
    conditions: int
    """1, or 2 with the negative image."""
    patches: int
    """Of one image."""


def packed_forward(decoder: Decoder, shape: Completions) -> Forward:
    """Every prompt once, then every completion, under each condition (finer1/policy/packed.py)."""
    prompts, prefix = shape.groups * shape.conditions, shape.prompt_tokens - 1
    segments = prompts * shape.rollouts
    return Forward(
        tokens=prompts * prefix + segments * shape.completion_tokens,
        keys=prompts * prefix + segments * (prefix + shape.completion_tokens),
        key_width=decoder.kv_width,
        scored=segments * shape.completion_tokens,
        patches=prompts * shape.patches,
    )


def plain_forward(
    decoder: Decoder, rows: int, row_tokens: int, scored: int, patches: int
) -> Forward:
    """Padded rows, an image each: stage 1, and stage 2 with runtime.forward plain.

    scored: positions of one row in the head. patches: of one image. A mask for padding makes SDPA
    repeat keys and values for all heads.
    """
    width = decoder.hidden if rows > 1 else decoder.kv_width
    return Forward(rows * row_tokens, rows * row_tokens, width, rows * scored, rows * patches)


def layer_kept(decoder: Decoder, forward: Forward, mixed: bool) -> int:
    """By one layer of the decoder.

    Per token: input, normalised input and output of both norms, and the inputs of the linear
    layers (float32: query, key and value share theirs, as do gate and up).
    """
    size, hidden = HALF if mixed else FLOAT, decoder.hidden
    linear = 28 * hidden + 4 * size * decoder.intermediate
    attention = size * (2 * forward.tokens * hidden + 2 * forward.keys * forward.key_width)
    sums = FLOAT * forward.tokens * (decoder.heads + 2)
    return forward.tokens * linear + attention + sums


def block_kept(tower: Tower, patches: int, mixed: bool) -> int:
    """By one block of the tower; the sums of norms and softmax are float32."""
    hidden, wide, sums = tower.hidden, tower.intermediate, tower.heads
    if tower.is_gated:
        values = 38 * hidden + 8 * wide if mixed else 4 * (12 * hidden + 4 * wide)
        return patches * (values + FLOAT * (sums + 2))
    values = 24 * hidden + 6 * wide if mixed else 4 * (10 * hidden + 3 * wide)
    return patches * (values + FLOAT * (sums + 4))


def ends_kept(decoder: Decoder, forward: Forward) -> int:
    """By what lies around the layers: the last norm, the scored positions, rotary tables."""
    norm = 2 * forward.tokens * decoder.hidden
    tables = 2 * forward.tokens * decoder.head_dim
    return FLOAT * (norm + tables + forward.scored * decoder.hidden)


def tower_ends_kept(tower: Tower, patches: int, mixed: bool) -> int:
    """By patch embedding and merger: pixels, the merger's norm and inputs, image tokens."""
    size = HALF if mixed else FLOAT
    merger = 2 * FLOAT * tower.hidden + 3 * size * tower.hidden
    return patches * (size * tower.patch_values + merger) + FLOAT * patches // 4 * tower.out
