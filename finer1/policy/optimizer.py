"""AdamW, and the learning rate as a function of its step (schedules.py)."""

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
