"""DeepSpeed ZeRO-3, which leaves a model's parameters empty and keeps their data itself.

deepspeed is no dependency; it is imported where a model shows that it is there.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


def is_zero3(parameter: torch.Tensor) -> bool:
    """True for a parameter whose data ZeRO-3 keeps."""
    return hasattr(parameter, "ds_id")


def gather_parameter(parameter: Any) -> torch.Tensor:
    """All of a parameter, in float32 where it is trained; every process must ask for it."""
    import deepspeed
    from deepspeed.utils import safe_get_full_fp32_param

    if parameter.requires_grad:
        return safe_get_full_fp32_param(parameter)
    with deepspeed.zero.GatheredParameters([parameter]):
        return parameter.detach().clone()


def gather_moments(parameter: Any, optimizer: Any) -> dict[str, torch.Tensor]:
    """AdamW's state of a parameter, none before the first step; every process must ask for it."""
    from deepspeed.utils import safe_get_full_optimizer_state

    if not optimizer.state:
        return {}
    # Parameters share flat buffers there, each with one counter; all count the same steps.
    counter = next(iter(optimizer.state.values()))["step"]
    names = ("exp_avg", "exp_avg_sq")
    return {"step": counter.clone()} | {
        n: safe_get_full_optimizer_state(parameter, n) for n in names
    }


def set_moments(parameter: Any, optimizer: Any, moments: dict[str, torch.Tensor]) -> None:
    """The reverse of `gather_moments`, in an optimizer that has not made a step."""
    from deepspeed.utils import safe_set_full_optimizer_state

    names = ("exp_avg", "exp_avg_sq")
    for flat in parameter._z3_optimizer.fp32_partitioned_groups_flat:  # made by the first step
        if flat not in optimizer.state:
            optimizer.state[flat] = {n: torch.zeros_like(flat) for n in names}
            optimizer.state[flat]["step"] = moments["step"].clone()
    for name in names:
        safe_set_full_optimizer_state(parameter, moments[name], name)


@contextmanager
def gathered(engine: Any) -> Iterator[None]:
    """Inside, each process holds all weights of DeepSpeed's engine and runs its model freely."""
    import deepspeed
    from trl.models.utils import add_hooks, remove_hooks

    with deepspeed.zero.GatheredParameters(list(engine.parameters())):
        remove_hooks(engine)
        try:
            yield
        finally:
            add_hooks(engine)
