"""Checkpoints that continue a training run to the same weights: safetensors and JSON, no pickle.

A checkpoint is the folder `step-<number>` with `model.safetensors`, `optimizer.safetensors` and
`state.json`. It is written under another name and renamed when all of it is on disk, so a folder
of that name is complete. Only the newest is kept.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from finer1.files import write_json

_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


def save_checkpoint(
    root: Path, step: int, model: Any, optimizer: torch.optim.Optimizer, state: dict[str, Any]
) -> None:
    """Keep the trained weights, the optimizer's moments and `state` as of `step`."""
    part = root / ".step.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    save_file(_trained(model), part / "model.safetensors")
    save_file(_moments(model, optimizer), part / "optimizer.safetensors")
    for name in ("model", "optimizer"):
        _flush(part / f"{name}.safetensors")
    write_json(part / "state.json", state)
    target = root / f"step-{step:06d}"
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)
    _flush(root)
    for path in _checkpoints(root)[:-1]:
        shutil.rmtree(path)


def load_checkpoint(
    root: Path, model: Any, optimizer: torch.optim.Optimizer
) -> dict[str, Any] | None:
    """Bring model and optimizer to the newest checkpoint; its state, None when there is none."""
    found = _checkpoints(root)
    if not found:
        return None
    device = str(model.device)
    weights = load_file(found[-1] / "model.safetensors", device=device)
    moments = load_file(found[-1] / "optimizer.safetensors", device=device)
    with torch.no_grad():
        for name, parameter in _parameters(model).items():
            parameter.copy_(weights[name])
            # The step counter stays on the CPU, as AdamW makes it.
            values = {
                key: moments[f"{name}/{key}"] for key in _MOMENTS if f"{name}/{key}" in moments
            }
            if values:
                optimizer.state[parameter] = values | {"step": values["step"].cpu()}
    return json.loads((found[-1] / "state.json").read_text(encoding="utf-8"))


def _checkpoints(root: Path) -> list[Path]:
    return sorted(root.glob("step-*"))


def _parameters(model: Any) -> dict[str, torch.Tensor]:
    """The trained parameters by name; tied ones once."""
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


def _trained(model: Any) -> dict[str, torch.Tensor]:
    return {name: value.detach().contiguous() for name, value in _parameters(model).items()}


def _moments(model: Any, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    return {
        f"{name}/{key}": value.contiguous()
        for name, parameter in _parameters(model).items()
        for key, value in optimizer.state.get(parameter, {}).items()
        if key in _MOMENTS
    }


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
