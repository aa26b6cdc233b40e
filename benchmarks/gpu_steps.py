"""Timed steps on a device: seconds and memory of each phase."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from benchmarks.objective import update_loss
from benchmarks.sides import Part, Side

PHASES = ("old", "forward", "backward", "optimizer")
"""`forward` is that under anchor and negative, which ours runs as one."""
PASSES = PHASES[:3]
"""What the FLOP formulas speak of."""


@dataclass
class Steps:
    """What one side took, warm-ups left out."""

    side: Side
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Of each phase, a number per step."""
    peak_bytes: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Most memory in use in each phase; weights, gradients and moments included."""
    reserved_bytes: int = 0

    def totals(self, phases: tuple[str, ...] = PHASES) -> list[float]:
        """Seconds of these phases together, in each step."""
        return [sum(parts) for parts in zip(*(self.seconds[p] for p in phases), strict=True)]


def measure_steps(
    part: Part, name: str, optimizer: torch.optim.Optimizer, num_warm_ups: int, num_steps: int
) -> Steps:
    """Old log-probabilities, forward, backward and optimizer, again and again, on one side."""
    side, replay = part.sides[name], part.replay
    device = replay.completion_ids.device
    steps = Steps(side)
    if device.type == "cuda":
        torch.cuda.empty_cache()
    for number in range(num_warm_ups + num_steps):
        if number == num_warm_ups:
            steps = Steps(side)
        optimizer.zero_grad(set_to_none=True)
        with _phase(steps, "old", device):
            old = part.score_anchor(name) + replay.old_noise
        with side.setting():
            with _phase(steps, "forward", device):
                loss = update_loss(side.score(), old, replay)
            with _phase(steps, "backward", device):
                loss.backward()
        with _phase(steps, "optimizer", device):
            optimizer.step()
        del loss
    return steps


@contextmanager
def _phase(steps: Steps, name: str, device: torch.device) -> Iterator[None]:
    """Wait for the device before the clock is read, at both ends."""
    is_cuda = device.type == "cuda"
    if is_cuda:
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
    began = time.perf_counter()
    yield
    if is_cuda:
        torch.cuda.synchronize(device)
    steps.seconds[name].append(time.perf_counter() - began)
    if is_cuda:
        peak = torch.cuda.max_memory_allocated(device)
        steps.peak_bytes[name] = max(steps.peak_bytes[name], peak)
        reserved = torch.cuda.max_memory_reserved(device)
        steps.reserved_bytes = max(steps.reserved_bytes, reserved)
