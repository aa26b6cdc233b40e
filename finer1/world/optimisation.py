"""The one training loop of pre-training: seeded by step, resumable, with time left printed."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from finer1.files import new_file


@dataclass(frozen=True)
class Phase:
    """One phase of pre-training."""

    name: str
    steps: int
    lr: float
    """Peak of a cosine schedule with a short warm-up."""
    weight_decay: float
    save_steps: int
    """Steps between checkpoints."""
    report_steps: int
    """Steps between lines of progress."""


def run_phase(
    phase: Phase,
    parameters: dict[str, Tensor],
    loss_at: Callable[[int], Tensor],
    checkpoint: Path,
) -> float:
    """Train `parameters` in place for the phase's steps; the seconds this call took.

    loss_at: the loss of a step, a function of the step's number alone, so that a run continued
    from `checkpoint` sees the batches that an unbroken run sees.
    """
    optimizer = torch.optim.AdamW(
        parameters.values(), lr=phase.lr, betas=(0.9, 0.98), weight_decay=phase.weight_decay
    )
    first = load_state(checkpoint, parameters, optimizer)
    began, mean = time.monotonic(), 0.0
    for step in range(first, phase.steps):
        for group in optimizer.param_groups:
            group["lr"] = phase.lr * schedule(step, phase.steps)
        loss = loss_at(step)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters.values(), 1.0)
        optimizer.step()
        mean += (loss.item() - mean) / (step % phase.report_steps + 1)
        done = step + 1
        if done % phase.report_steps == 0 or done == phase.steps:
            left = (time.monotonic() - began) / (done - first) * (phase.steps - done)
            line = f"{phase.name} {done}/{phase.steps} loss {mean:.4f}, {left:.0f} s left"
            print(line, flush=True)
            mean = 0.0
        if done % phase.save_steps == 0 or done == phase.steps:
            save_state(checkpoint, parameters, optimizer, done)
    return time.monotonic() - began


def schedule(step: int, steps: int) -> float:
    """Factor of the learning rate: linear over the first 5 %, then cosine to 2 %."""
    warmup = max(1, steps // 20)
    if step < warmup:
        return (step + 1) / warmup
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))


def save_state(
    path: Path, parameters: dict[str, Tensor], optimizer: torch.optim.AdamW, step: int
) -> None:
    """Write parameters, AdamW's moments and the step, whole or not at all."""
    tensors = {f"value/{name}": tensor.detach() for name, tensor in parameters.items()}
    for name, tensor in parameters.items():
        for moment in ("exp_avg", "exp_avg_sq"):
            tensors[f"{moment}/{name}"] = optimizer.state[tensor][moment]
    with new_file(path) as part:
        save_file(tensors, part, metadata={"step": str(step)})


def load_state(
    path: Path, parameters: dict[str, Tensor], optimizer: torch.optim.AdamW | None
) -> int:
    """Fill parameters and, if given, the optimizer from `path`; its step, 0 without a file."""
    if not path.exists():
        return 0
    with safe_open(path, framework="pt") as file:
        step = int(file.metadata()["step"])
        for name, tensor in parameters.items():
            with torch.no_grad():
                tensor.copy_(file.get_tensor(f"value/{name}"))
            if optimizer is not None:
                optimizer.state[tensor] = {
                    "step": torch.tensor(float(step)),
                    "exp_avg": file.get_tensor(f"exp_avg/{name}"),
                    "exp_avg_sq": file.get_tensor(f"exp_avg_sq/{name}"),
                }
    return step
