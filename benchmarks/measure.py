"""Measuring sides against each other: first that they are equal, then what they take."""

import gc
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from benchmarks.counting import Counts, counted_flops, counted_inputs, saved_memory
from benchmarks.objective import update_loss
from benchmarks.replay import Replay
from benchmarks.sides import MicroBatch, Side

LOGPROB_TOLERANCE = 1e-5
"""Largest difference of a log-probability from B0's, float32."""
GRADIENT_TOLERANCE = 1e-5
"""Largest L2 difference of the gradient of all parameters from B0's, relative to its norm."""


@dataclass
class Account:
    """One side on one group."""

    side: Side
    counts: Counts
    saved_bytes: int
    """Kept by the forward pass for the backward pass, by the largest micro-batch."""
    logprob_error: float
    """Largest absolute difference from the first side."""
    num_off: int
    """Log-probabilities that differ from the first side's by more than the tolerance."""
    gradient_error: float
    """Relative L2 difference from the first side."""
    seconds: list[float] = field(default_factory=list)
    """CPU seconds of forward, loss and backward, a number per repeat."""

    @property
    def median_seconds(self) -> float:
        """Over the repeats."""
        return statistics.median(self.seconds)

    @property
    def is_exact(self) -> bool:
        """True when this side computes the first side's update."""
        return self.logprob_error <= LOGPROB_TOLERANCE and self.gradient_error <= GRADIENT_TOLERANCE


def examine(model: Any, replay: Replay, sides: Sequence[Side], old: torch.Tensor) -> list[Account]:
    """One counted update of each side, compared with that of the first.

    Raises RuntimeError when a side goes through other tokens or images than its formula says.
    """
    accounts: list[Account] = []
    for side in sides:
        counts, saved_bytes, scored = Counts(), 0, []
        model.zero_grad(set_to_none=True)
        with side.setting(), counted_flops(counts):
            for batch in side.micro_batches:
                with saved_memory(model) as saved, counted_inputs(model, counts):
                    logprobs = batch.score()
                    loss = update_loss(logprobs, old, replay, batch.rows)
                loss.backward()
                saved_bytes = max(saved_bytes, sum(saved.values()))
                scored.append(torch.stack([part.detach() for part in logprobs]))
                del loss, logprobs
        _check_counts(side, counts)
        values = torch.cat(scored, dim=1)
        gradient = [parameter.grad for parameter in model.parameters()]
        if not accounts:
            expected, expected_gradient = values, gradient
        differences = (values - expected).abs()
        accounts.append(
            Account(
                side=side,
                counts=counts,
                saved_bytes=saved_bytes,
                logprob_error=differences.max().item(),
                num_off=int((differences > LOGPROB_TOLERANCE).sum()),
                gradient_error=_relative_l2(gradient, expected_gradient),
            )
        )
        del gradient
    model.zero_grad(set_to_none=True)
    return accounts


def _check_counts(side: Side, counts: Counts) -> None:
    got, work = (counts.tokens, counts.images), (side.work.tokens, side.work.images)
    if got != work:
        raise RuntimeError(
            f"{side.name} went through {got[0]} tokens and {got[1]} images; its formula says "
            f"{work[0]} and {work[1]}"
        )


def time_updates(
    model: Any, replay: Replay, accounts: Sequence[Account], old: torch.Tensor, repeats: int
) -> None:
    """Add the CPU seconds of `repeats` updates to each account, one side after the other.

    Interleaved, so that whatever slows the machine down for a while slows all sides down.
    """
    for _ in range(repeats):
        for account in accounts:
            side = account.side
            account.seconds.append(_time(model, replay, side, side.micro_batches, old))
    model.zero_grad(set_to_none=True)


def fastest(model: Any, replay: Replay, sides: Sequence[Side], old: torch.Tensor) -> Side:
    """The side whose first micro-batch takes the fewest CPU seconds per rollout."""

    def seconds_per_rollout(side: Side) -> float:
        first = side.micro_batches[0]
        num_rollouts = len(replay.completion_ids[first.rows])
        return _time(model, replay, side, [first], old) / num_rollouts

    return min(sides, key=seconds_per_rollout)


def _time(
    model: Any,
    replay: Replay,
    side: Side,
    micro_batches: Sequence[MicroBatch],
    old: torch.Tensor,
) -> float:
    """CPU seconds of forward, loss and backward."""
    model.zero_grad(set_to_none=True)
    gc.collect()
    with side.setting():
        began = time.process_time()
        for batch in micro_batches:
            update_loss(batch.score(), old, replay, batch.rows).backward()
        return time.process_time() - began


@dataclass(frozen=True)
class Ratio:
    """How many times less one side takes than another."""

    median: float
    low: float
    high: float


def time_ratio(slow: Sequence[float], fast: Sequence[float]) -> Ratio:
    """Median and range of the ratios, repeat by repeat."""
    ratios = [a / b for a, b in zip(slow, fast, strict=True)]
    return Ratio(statistics.median(ratios), min(ratios), max(ratios))


def _relative_l2(got: Sequence[torch.Tensor | None], want: Sequence[torch.Tensor | None]) -> float:
    """L2 norm of the difference over that of `want`; a missing gradient is zero."""
    difference = norm = 0.0
    for a, b in zip(got, want, strict=True):
        left = torch.zeros(()) if a is None else a.double()
        right = torch.zeros(()) if b is None else b.double()
        difference += (left - right).square().sum().item()
        norm += right.square().sum().item()
    return (difference / norm) ** 0.5
