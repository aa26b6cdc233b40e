"""The ways of computing one and the same update that are compared.

B0    TRL's own path, the contrastive term by a second call with the negative image; or split, with
      fewer rollouts at once
B1    B0 with the vision tower run once per group
B2    B0 with our batched vision attention
ours  the packed forward: both prompts and all rollouts in one row
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from benchmarks.formulas import Work, rows_work, shared_work
from benchmarks.peer import fused_head, peer_rows, score_rows, score_rows_tower_once
from benchmarks.replay import Replay
from finer1.policy.forward import score_completions
from finer1.policy.packed import obstacle
from finer1.policy.vision_attention import BATCHED_WINDOWS, batch_windows

B0, B1, B2 = "B0", "B1", "B2"
OURS, OURS_UNCHECKPOINTED = "ours", "ours, no checkpointing"

Score = Callable[[], list[torch.Tensor]]
"""Gives the log-probabilities [R, T] of each branch, zero on padding."""


@dataclass(frozen=True)
class MicroBatch:
    """Rollouts that go through the model at once."""

    rows: slice
    """Which of the replay's rollouts."""
    score: Score


@dataclass(frozen=True)
class Side:
    """One way to the log-probabilities of a replay's branches."""

    name: str
    micro_batches: tuple[MicroBatch, ...]
    """One after the other, gradients accumulated; a single one unless the side is split."""
    setting: Callable[[], AbstractContextManager[None]]
    """How the model is set while this side runs, its backward pass included."""
    work: Work
    """What its forward pass goes through, by formula."""
    is_checkpointed: bool

    def score(self) -> list[torch.Tensor]:
        """[R, T] of each branch, by a side that is not split."""
        (whole,) = self.micro_batches
        return whole.score()


def build_sides(model: Any, replay: Replay, is_checkpointed: bool) -> dict[str, Side]:
    """All sides on one model and replay, by name; none of them split.

    Raises ValueError when the packed forward does not support the model.
    """
    reason = obstacle(model)
    if reason is not None:  # `score_completions` would fall back to the plain forward
        raise ValueError(f"the packed forward does not support {reason}: nothing to compare")
    rows = peer_rows(replay, model.config.image_token_id)
    naive, tower_once = rows_work(replay, False), rows_work(replay, True)
    shared = shared_work(replay)
    batch_windows(model)  # registers it; settings below switch between it and the loop
    loop = partial(_peer_setting, model, is_checkpointed, "sdpa")
    batched = partial(_peer_setting, model, is_checkpointed, BATCHED_WINDOWS)
    sides = [
        _whole(B0, partial(score_rows, model, rows), loop, naive, is_checkpointed),
        _whole(B1, partial(score_rows_tower_once, model, rows), loop, tower_once, is_checkpointed),
        _whole(B2, partial(score_rows, model, rows), batched, naive, is_checkpointed),
    ]
    ours = [(OURS, is_checkpointed)]
    ours += [(OURS_UNCHECKPOINTED, False)] if is_checkpointed else []
    for name, checkpointed in ours:
        setting = partial(_our_setting, model, checkpointed)
        score = partial(score_packed, model, replay)
        sides.append(_whole(name, score, setting, shared, checkpointed))
    return {side.name: side for side in sides}


def _whole(
    name: str,
    score: Score,
    setting: Callable[[], AbstractContextManager[None]],
    work: Work,
    is_checkpointed: bool,
) -> Side:
    return Side(name, (MicroBatch(slice(None), score),), setting, work, is_checkpointed)


def split_peer(model: Any, replay: Replay, size: int, name: str, is_checkpointed: bool) -> Side:
    """B0 with `size` rollouts at once."""
    micro_batches = []
    for start in range(0, len(replay.completion_ids), size):
        rows = slice(start, start + size)
        inputs = peer_rows(replay.part(rows), model.config.image_token_id)
        micro_batches.append(MicroBatch(rows, partial(score_rows, model, inputs)))
    setting = partial(_peer_setting, model, is_checkpointed, "sdpa")
    work = rows_work(replay, is_tower_once=False)
    return Side(name, tuple(micro_batches), setting, work, is_checkpointed)


@dataclass(frozen=True)
class Part:
    """A micro-batch with its sides."""

    replay: Replay
    sides: dict[str, Side]
    """Under all branches."""
    anchor_sides: dict[str, Side]
    """Under the anchor alone: the old log-probabilities."""

    def score_anchor(self, name: str) -> torch.Tensor:
        """Log-probabilities [R, T] under the anchor, without gradient."""
        side = self.anchor_sides[name]
        with torch.no_grad(), side.setting():
            return side.score()[0]


def build_part(model: Any, replay: Replay, is_checkpointed: bool) -> Part:
    """The replay and all ways to score it."""
    alone = replace(replay, branches=replay.branches[:1])
    return Part(
        replay,
        build_sides(model, replay, is_checkpointed),
        build_sides(model, alone, is_checkpointed),
    )


def score_packed(model: Any, replay: Replay) -> list[torch.Tensor]:
    """Log-probabilities [R, T] of each branch by the packed forward."""
    return score_completions(
        model,
        replay.branches,
        replay.completion_ids,
        replay.completion_mask,
        temperature=1.0,
        forward="packed",
    )


@contextmanager
def _peer_setting(model: Any, is_checkpointed: bool, vision_attention: str) -> Iterator[None]:
    with _attention(model, "sdpa", vision_attention), fused_head(model):
        set_checkpointing(model, is_checkpointed)
        yield


@contextmanager
def _our_setting(model: Any, is_checkpointed: bool) -> Iterator[None]:
    with _attention(model, "sdpa", BATCHED_WINDOWS):
        set_checkpointing(model, is_checkpointed)
        yield


@contextmanager
def _attention(model: Any, text: str, vision: str) -> Iterator[None]:
    configs = (model.config.get_text_config(), model.config.vision_config)
    before = [config._attn_implementation for config in configs]
    for config, name in zip(configs, (text, vision), strict=True):
        config._attn_implementation = name
    try:
        yield
    finally:
        for config, name in zip(configs, before, strict=True):
            config._attn_implementation = name


def set_checkpointing(model: Any, is_on: bool) -> None:
    """Recompute every layer of decoder and tower in the backward pass, or none."""
    if is_on:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    else:
        model.gradient_checkpointing_disable()
