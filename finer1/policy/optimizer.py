"""AdamW and its schedules, as functions of the optimizer step."""

import math
from collections.abc import Callable
from typing import Any

import torch


def build_optimizer(
    model: Any, lr: float, weight_decay: float, betas: tuple[float, float]
) -> torch.optim.AdamW:
    """AdamW over the trained parameters; vectors (norms, biases) are not decayed.

    Tensor by tensor, as torch does it on a CPU anyway: on a GPU it would take the root of all
    second moments at once, 4 bytes a parameter at the fullest moment of a full fine-tuning.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    # DeepSpeed drops an empty group, and its schedule would then count one too many.
    groups = [group for group in groups if group["params"]]
    return torch.optim.AdamW(groups, lr=lr, betas=betas, foreach=False)


def schedule_from(
    optimizer: torch.optim.Optimizer, factor: Callable[[int], float], first_step: int
) -> torch.optim.lr_scheduler.LambdaLR:
    """Scale the learning rate by factor(step), beginning at `first_step`."""
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: factor(first_step + step))


def warm_up(step: int, warmup_steps: int) -> float:
    """Linear from near 0 to 1 over the first `warmup_steps` steps, then 1."""
    return min(1.0, (step + 1) / (warmup_steps + 1))


def warm_up_cosine(step: int, warmup_steps: int, num_steps: int) -> float:
    """Linear warm-up, then half a cosine down to 0 at `num_steps`."""
    if step < warmup_steps:
        return warm_up(step, warmup_steps)
    progress = (step - warmup_steps) / max(1, num_steps - warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
