"""FLOPs of an update by formula: what each side has to compute.

    decoder   D per token, A per (query, key) pair
    head      H per scored position
    tower     E per image

A backward pass costs two forward passes; gradient checkpointing adds one of the layers; TRL's
head, which keeps no logits, adds one of the head. A frozen tower runs forward only. Elementwise
work (norms, rotary embedding, softmax) is not counted, here as everywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.replay import Replay
from finer1.policy.encoding import EncodedPrompt, distinct_images


@dataclass(frozen=True)
class Work:
    """What a forward pass of all branches goes through."""

    tokens: int
    """Tokens in the decoder, padding included."""
    pairs: int
    """Pairs (query, key) that causal attention needs for these tokens."""
    scored: int
    """Positions in the head."""
    grids: tuple[tuple[int, int], ...]
    """Patches of each image that the tower encodes, height and width."""

    @property
    def images(self) -> int:
        """Images in the tower."""
        return len(self.grids)


def rows_work(replay: Replay, is_tower_once: bool) -> Work:
    """One padded row per rollout and branch, as in TRL."""
    tokens = pairs = 0
    grids: list[tuple[int, int]] = []
    for branch in replay.branches:
        row = branch.prompts.token_ids.shape[1] + replay.completion_ids.shape[1]
        owners = branch.owners.tolist()
        tokens += len(owners) * row
        pairs += len(owners) * _triangle(row)
        encoded = sorted(set(owners)) if is_tower_once else owners
        grids += [_grid(branch.prompts.images[owner]) for owner in encoded]
    return Work(tokens, pairs, len(replay.branches) * replay.num_tokens, tuple(grids))


def shared_work(replay: Replay) -> Work:
    """Each prompt and image once, without padding: the least that any exact method goes through.

    A completion of length T adds T tokens, the last prompt token in place of its own last one.
    """
    tokens = pairs = 0
    shown: list[EncodedPrompt] = []
    lengths = replay.completion_mask.sum(dim=1).tolist()
    for branch in replay.branches:
        prompts = branch.prompts.images
        for owner in sorted(set(branch.owners.tolist())):
            prefix = len(prompts[owner].token_ids) - 1
            tokens += prefix
            pairs += _triangle(prefix)
            shown.append(prompts[owner])
        for owner, length in zip(branch.owners.tolist(), lengths, strict=True):
            prefix = len(prompts[owner].token_ids) - 1
            tokens += length
            pairs += length * prefix + _triangle(length)
    grids = tuple(_grid(prompt) for prompt in distinct_images(shown)[0])
    return Work(tokens, pairs, len(replay.branches) * replay.num_tokens, grids)


def forward_flops(model: Any, work: Work) -> float:
    """FLOPs of a forward pass."""
    return sum(_part_flops(model, work))


def useful_flops(model: Any, work: Work) -> float:
    """FLOPs of forward and backward pass without recomputation: what MFU counts."""
    decoder, head, tower = _part_flops(model, work)
    return 3 * decoder + 3 * head + (1 + 2 * _is_tower_trained(model)) * tower


def update_flops(model: Any, work: Work, is_checkpointed: bool) -> float:
    """FLOPs of forward and backward pass as they run, recomputation included."""
    decoder, head, tower = _part_flops(model, work)
    layers = 3 + is_checkpointed
    return layers * decoder + 4 * head + (layers if _is_tower_trained(model) else 1) * tower


def _part_flops(model: Any, work: Work) -> tuple[float, float, float]:
    """FLOPs of decoder, head and tower in a forward pass."""
    text = model.config.get_text_config()
    decoder = work.tokens * _token_flops(text) + work.pairs * _pair_flops(text)
    head = work.scored * 2 * text.hidden_size * text.vocab_size
    return decoder, head, _tower_flops(model, work.grids)


def _is_tower_trained(model: Any) -> bool:
    return any(parameter.requires_grad for parameter in model.model.visual.parameters())


def _token_flops(text: Any) -> float:
    hidden, width = text.hidden_size, text.hidden_size // text.num_attention_heads
    attention = 2 * hidden * hidden + 2 * hidden * text.num_key_value_heads * width
    return 2 * text.num_hidden_layers * (attention + 3 * hidden * text.intermediate_size)


def _pair_flops(text: Any) -> float:
    """Scores and weighted values; all heads together are as wide as the hidden state."""
    return 4 * text.num_hidden_layers * text.hidden_size


def _tower_flops(model: Any, grids: Sequence[tuple[int, int]]) -> float:
    vision = model.config.vision_config
    hidden, merged = vision.hidden_size, 4 * vision.hidden_size
    patch = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
    block = 4 * hidden * hidden + 3 * hidden * vision.intermediate_size
    merger = merged * merged + merged * vision.out_hidden_size
    full = len(vision.fullatt_block_indexes)
    side = vision.window_size // vision.patch_size
    total = 0.0
    for height, width in grids:
        patches = height * width
        linear = patches * (patch * hidden + vision.depth * block) + patches / 4 * merger
        windows = sum(
            (min(side, height - top) * min(side, width - left)) ** 2
            for top in range(0, height, side)
            for left in range(0, width, side)
        )
        pairs = full * patches**2 + (vision.depth - full) * windows
        total += 2 * linear + 4 * hidden * pairs
    return total


def _grid(prompt: Any) -> tuple[int, int]:
    _, height, width = prompt.grid.tolist()
    return height, width


def _triangle(length: int) -> int:
    return length * (length + 1) // 2
