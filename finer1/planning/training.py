"""The most memory that a training step holds, by walking through its backward pass.

Gradients grow while what the forward kept is freed, so the peak may lie at either end: before the
head's backward where activations weigh most, at its end where gradients do, or in the optimizer.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from finer1.planning.activations import (
    FLOAT,
    HALF,
    Forward,
    block_kept,
    ends_kept,
    layer_kept,
    tower_ends_kept,
)
from finer1.planning.architecture import Architecture

_TILE_TOKENS, _TILE_WORDS = 4096, 32768
"""Of TRL's fused head: it makes so much of the logits at once."""
_TILE_COPIES_CPU = 8
"""Without Triton the head's backward holds so many float32 tiles at once (trl 1.16)."""


@dataclass(frozen=True)
class Method:
    """How a model is trained."""

    adapters: int
    """Parameters of LoRA adapters; 0 trains the weights."""
    train_vision: bool
    is_checkpointed: bool
    mixed: bool
    """bfloat16 autocast, as on a GPU; else float32."""
    on_gpu: bool
    """Its head has kernels of its own."""
    accumulates: bool
    """Several micro-batches: gradients are there before the last of them begins."""
    has_moments: bool
    """False in the first step alone."""
    shards: int
    """Processes that weights, gradients and moments are spread over."""
    bucket_copies: int
    """Copies of the gradients that DDP sends; 0 or 1."""


@dataclass(frozen=True)
class Peak:
    """Bytes at the fullest moment of a phase, by what they hold."""

    weights: int
    gradients: int
    moments: int
    activations: int
    """Kept for the backward, recomputed ones included."""
    work: int
    """What an operation needs while it runs."""

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.gradients + self.moments + self.activations + self.work


@dataclass(frozen=True)
class _Segment:
    """A part of the model in the order of the backward pass."""

    kept: int
    """Bytes that its backward frees."""
    recomputed: int
    """Bytes that gradient checkpointing makes anew for it."""
    gradients: int
    """Bytes of its weights' gradients."""
    work: int


def trained_parameters(model: Architecture, method: Method) -> int:
    """Parameters with a gradient."""
    return method.adapters or model.trained(method.train_vision)


def backward_peak(model: Architecture, forward: Forward, method: Method) -> Peak:
    """The fullest moment from the end of the forward pass to that of the backward."""
    trained = trained_parameters(model, method)
    segments = list(_segments(model, forward, method))
    left = sum(segment.kept for segment in segments)
    # At the end of the forward autocast still holds its copies of weights, and the head a tile.
    start = left + _cached(model, method), 0, _tile(model, forward, method)
    grown, best = 0, (sum(start), *start)
    for segment in segments:
        held = left + segment.recomputed, grown, segment.work
        best = max(best, (sum(held), *held))
        if method.accumulates:  # added to what is there
            held = left, 0, segment.gradients
            best = max(best, (sum(held), *held))
        else:
            grown += segment.gradients
            held = left, grown, 0
            best = max(best, (sum(held), *held))
        left -= segment.kept
    _, activations, gradients, work = best
    if method.accumulates:
        gradients = FLOAT * trained
    # What is gathered for a moment stands under work, whatever is spread.
    return Peak(
        weights=_weights(model, method),
        gradients=gradients // method.shards + method.bucket_copies * FLOAT * trained,
        moments=2 * FLOAT * trained // method.shards if method.has_moments else 0,
        activations=activations,
        work=work + _gathered(model, method),
    )


def optimizer_peak(model: Architecture, method: Method) -> Peak:
    """AdamW's step, tensor by tensor: two of the largest on top (finer1/policy/optimizer.py)."""
    trained = trained_parameters(model, method)
    return Peak(
        weights=_weights(model, method),
        gradients=FLOAT * trained // method.shards + method.bucket_copies * FLOAT * trained,
        moments=2 * FLOAT * trained // method.shards,
        activations=0,
        work=2 * FLOAT * _largest(model, method) // method.shards,
    )


def _weights(model: Architecture, method: Method) -> int:
    return FLOAT * (model.parameters + method.adapters) // method.shards


def _largest(model: Architecture, method: Method) -> int:
    if method.adapters:
        return method.adapters // model.decoder.layers
    return max(model.decoder.embedding, model.decoder.hidden * model.decoder.intermediate)


def _gathered(model: Architecture, method: Method) -> int:
    """Weights that a process gathers where they are spread: tables and two layers, bfloat16."""
    if method.shards == 1:
        return 0
    tables = model.decoder.embedding * (1 if model.decoder.is_tied else 2)
    return HALF * (tables + 2 * model.decoder.layer)


def _segments(model: Architecture, forward: Forward, method: Method) -> Iterator[_Segment]:
    """Head, layers from the last on, tower, embedding."""
    decoder, is_full = model.decoder, not method.adapters
    table = FLOAT * decoder.embedding * is_full
    yield _Segment(
        kept=ends_kept(decoder, forward),
        recomputed=0,
        gradients=table + FLOAT * decoder.hidden * is_full,
        work=table + _head_work(model, forward, method),
    )
    layer = layer_kept(decoder, forward, method.mixed) + _cast(decoder.layer_linear, method)
    size = HALF if method.mixed else FLOAT
    per_token = 2 * size * decoder.intermediate + 2 * FLOAT * decoder.hidden
    entry = FLOAT * forward.tokens * decoder.hidden
    for _ in range(decoder.layers):
        yield _Segment(
            kept=entry if method.is_checkpointed else layer,
            recomputed=layer if method.is_checkpointed else 0,
            gradients=FLOAT * decoder.layer * is_full,
            work=forward.tokens * per_token,
        )
    if method.train_vision:
        yield from _tower_segments(model, forward, method)
    # The embedding's gradient is a table of its own, and is added to a tied head's.
    yield _Segment(
        kept=0,
        recomputed=0,
        gradients=0 if decoder.is_tied else table,
        work=table + FLOAT * forward.tokens * decoder.hidden,
    )


def _tower_segments(model: Architecture, forward: Forward, method: Method) -> Iterator[_Segment]:
    tower, patches, is_full = model.tower, forward.patches, not method.adapters
    size = HALF if method.mixed else FLOAT
    yield _Segment(
        kept=tower_ends_kept(tower, patches, method.mixed) + _cast(tower.merger_linear, method),
        recomputed=0,
        gradients=FLOAT * (tower.merger + tower.patch_values * tower.hidden) * is_full,
        work=size * patches * 3 * tower.hidden,
    )
    block = block_kept(tower, patches, method.mixed) + _cast(tower.block_linear, method)
    for _ in range(tower.depth):
        yield _Segment(
            kept=size * patches * tower.hidden if method.is_checkpointed else block,
            recomputed=block if method.is_checkpointed else 0,
            gradients=FLOAT * tower.block * is_full,
            work=size * patches * (2 * tower.intermediate + 3 * tower.hidden),
        )


def _cast(weights: int, method: Method) -> int:
    """Bytes of the bfloat16 copies of weights that the backward needs."""
    return HALF * weights if method.mixed else 0


def _cached(model: Architecture, method: Method) -> int:
    """bfloat16 copies that autocast holds to the end of a forward in which none is saved."""
    if not method.mixed or not method.is_checkpointed or method.adapters:
        return 0
    tower, decoder = model.tower, model.decoder
    linear = decoder.layers * decoder.layer_linear
    if method.train_vision:
        linear += tower.depth * tower.block_linear + tower.merger_linear
    return HALF * linear // method.shards


def _head_work(model: Architecture, forward: Forward, method: Method) -> int:
    """Gradient of the scored positions, and tiles of logits."""
    copies = 1 if method.on_gpu else _TILE_COPIES_CPU
    gradient = FLOAT * forward.scored * model.decoder.hidden
    return gradient + copies * _tile(model, forward, method)


def _tile(model: Architecture, forward: Forward, method: Method) -> int:
    """A tile of logits, with the copy of its part of the head's weights that autocast needs."""
    words = min(model.decoder.vocabulary, _TILE_WORDS)
    tile = min(forward.scored, _TILE_TOKENS) * words
    return HALF * (tile + words * model.decoder.hidden) if method.mixed else FLOAT * tile
