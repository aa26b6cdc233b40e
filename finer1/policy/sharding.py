"""Weights and moments that FSDP2 or ZeRO-3 has spread over processes, as one process has them."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.distributed.fsdp import FSDPModule, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor

from finer1.policy.zero3 import (
    gather_moments,
    gather_parameter,
    gathered,
    is_zero3,
    set_moments,
)


def collect(value: torch.Tensor) -> torch.Tensor:
    """All of a tensor, no gradient. Where it is spread, every process must ask for it."""
    if is_zero3(value):
        return gather_parameter(value)
    value = value.detach()
    return value.full_tensor() if isinstance(value, DTensor) else value


def collect_all(tensors: Mapping[str, torch.Tensor], is_wanted: bool) -> dict[str, torch.Tensor]:
    """All of each tensor, on the CPU; an empty dict in a process that does not want them.

    One after the other, so that a GPU never holds more than one.
    """
    whole = {}
    for name, value in tensors.items():
        tensor = collect(value)
        if is_wanted:
            whole[name] = tensor.cpu().contiguous()
    return whole


def moments(parameter: torch.Tensor, optimizer: Any) -> dict[str, torch.Tensor]:
    """AdamW's state of a parameter, itself spread; none before the first step."""
    if is_zero3(parameter):
        return gather_moments(parameter, optimizer)
    return {name: optimizer.state[parameter][name] for name in optimizer.state.get(parameter, {})}


def restore_moments(
    parameter: torch.Tensor, optimizer: Any, values: dict[str, torch.Tensor]
) -> None:
    """Give AdamW the whole state of a parameter; every process must do so."""
    values = values | {"step": values["step"].cpu()}  # the counter stays there, as AdamW makes it
    if is_zero3(parameter):
        set_moments(parameter, optimizer, values)
    elif isinstance(parameter, DTensor):
        mesh, places = parameter.device_mesh, parameter.placements
        optimizer.state[parameter] = {
            name: value if name == "step" else distribute_tensor(value, mesh, places)
            for name, value in values.items()
        }
    else:
        optimizer.state[parameter] = values


def run_whole(model: Any, work: Callable[[], None]) -> None:
    """Do `work`, within which each process holds all weights and may run any part of the model.

    Sampling does so: it runs the language model token by token, each process for as long as its
    own completions take. model: as wrapped; for one that is not spread, `work` is just done.
    """
    if any(is_zero3(parameter) for parameter in model.parameters()):
        with gathered(model):
            return work()
    if not isinstance(model, FSDPModule):
        return work()
    parts = [part for part in model.modules() if isinstance(part, FSDPModule)]
    for part in parts:
        part.set_reshard_after_forward(False, recurse=False)
        part.unshard()
    # To FSDP2 the work is a forward of the model: what runs first, it takes for the root.
    model.work = work
    register_fsdp_forward_method(model, "work")
    try:
        model.work()
    finally:
        del model.work
        for part in parts:
            # As accelerate has it: layers alone are spread again before the backward.
            is_layer = part is not model and any(True for _ in part.children())
            part.set_reshard_after_forward(is_layer, recurse=False)
            part.reshard()
    return None
