"""Checkpoints that continue a training run to the same weights: safetensors and JSON, no pickle.

A checkpoint is the folder `step-<number>` with `model.safetensors`, `optimizer.safetensors` and
`state.json`. It is written under another name and renamed when all of it is on disk, so a folder
of that name was complete once; hashes in `state.json` tell whether it still is. The newest two
are kept: a run goes on from the older one when the newer one is damaged.
"""

import hashlib
import json
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from finer1 import faults
from finer1.files import check_space, new_folder, sha256_file, write_json
from finer1.policy.sharding import collect_all, moments, restore_moments
from finer1.policy.storage import NUM_KEPT

_MODEL, _OPTIMIZER, _STATE = "model.safetensors", "optimizer.safetensors", "state.json"
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint."""

    folder: Path
    state: dict[str, Any]
    """What the run keeps besides weights and moments."""

    def load_weights(self, model: Any) -> None:
        """Bring the trained weights of a model that is not yet spread to the checkpoint."""
        weights = load_file(self.folder / _MODEL, device=str(model.device))
        with torch.no_grad():
            for name, parameter in _trained(model).items():
                parameter.copy_(weights[name])

    def load_moments(self, model: Any, optimizer: torch.optim.Optimizer) -> None:
        """Bring the optimizer to the checkpoint; the model may be spread over processes."""
        values = load_file(self.folder / _OPTIMIZER, device=str(model.device))
        for name, parameter in _trained(model).items():
            if f"{name}/step" in values:
                state = {key: values[f"{name}/{key}"] for key in _MOMENTS}
                restore_moments(parameter, optimizer, state)


def save_checkpoint(
    root: Path,
    step: int,
    model: Any,
    optimizer: torch.optim.Optimizer,
    state: dict[str, Any],
    is_writer: bool = True,
) -> None:
    """Keep the trained weights, the optimizer's moments and `state` as of `step`.

    Every process of a run must call it; the one with `is_writer` writes.
    Raises OSError, with what is needed and what is free, when the disk is full; what was saved
    before stays.
    """
    parameters = _trained(model)
    weights = collect_all(parameters, is_writer)
    values: dict[str, torch.Tensor] = {}
    for name, parameter in parameters.items():
        found = moments(parameter, optimizer)
        named = {f"{name}/{key}": found[key] for key in _MOMENTS if key in found}
        values |= collect_all(named, is_writer)
    if is_writer:
        _write(root, step, {_MODEL: weights, _OPTIMIZER: values}, state)


def newest_checkpoint(root: Path) -> Checkpoint | None:
    """The newest complete checkpoint below `root`; damaged ones are passed over with a warning."""
    for folder in reversed(_folders(root)):
        damage, state = _examine(folder)
        if damage is None:
            return Checkpoint(folder, state)
        logging.getLogger(__name__).warning("%s is passed over: %s", folder, damage)
    return None


def _write(
    root: Path, step: int, tensors: dict[str, dict[str, torch.Tensor]], state: dict[str, Any]
) -> None:
    for left in root.glob(".step-*"):  # of a run that was killed while it saved another step
        shutil.rmtree(left)
    target = root / f"step-{step:06d}"
    check_space(target, sum(v.nbytes for values in tensors.values() for v in values.values()))
    with new_folder(target) as part:
        for name, values in tensors.items():
            faults.point("save:weights")
            save_file(values, part / name)
        faults.point("save:after_weights")
        hashes = {name: sha256_file(part / name) for name in tensors} | {_STATE: _hash(state)}
        write_json(part / _STATE, {"state": state, "sha256": hashes})
    for path in _folders(root)[:-NUM_KEPT]:
        faults.point("save:remove_old")
        shutil.rmtree(path)


def _examine(folder: Path) -> tuple[str | None, dict[str, Any]]:
    """What is wrong with a checkpoint, None when nothing is; its state."""
    try:
        content = json.loads((folder / _STATE).read_text(encoding="utf-8"))
        state, hashes = content["state"], content["sha256"]
        is_damaged = hashes[_STATE] != _hash(state)
    except FileNotFoundError:
        return f"{_STATE} is missing", {}
    except (ValueError, KeyError, TypeError):
        is_damaged = True
    if is_damaged:
        return f"{_STATE} is damaged", {}
    for name in (_MODEL, _OPTIMIZER):
        if not (folder / name).is_file():
            return f"{name} is missing", {}
        if sha256_file(folder / name) != hashes.get(name):
            return f"{name} is damaged", {}
    return None, state


def _hash(state: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()


def _folders(root: Path) -> list[Path]:
    return sorted(root.glob("step-*"))


def _trained(model: Any) -> dict[str, torch.Tensor]:
    """The trained parameters by name; tied ones once."""
    return {name: value for name, value in model.named_parameters() if value.requires_grad}
