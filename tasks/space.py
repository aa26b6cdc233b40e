"""Free space on the disk against what a stage will write, before it computes for hours."""

import json
import math
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from finer1.files import check_space
from finer1.params import Params

_COPIES = 2
"""DVC keeps an output in its cache and in the folder, where the disk has no reflinks."""
_NUM_CHECKPOINTS = 3
"""finer1/policy/checkpoints.py keeps two, and the newest is written before the oldest goes."""
_CHECKPOINT_BYTES = 12
"""Per parameter: float32 weights and two moments."""
_FLOAT = 4
_LEAST = 50_000_000
"""For a stage of which nothing is known: rows, metrics, tracking."""


def check_stage(stage: str, params: Params, folder: Path, resume: Path) -> int:
    """Bytes that the stage at most needs, by what is known beforehand.

    resume: its scratch folder, which may lie on another disk; what a killed run left there counts.
    Raises OSError, saying what is needed and what is free, when a disk has less.
    """
    needed, scratch = _LEAST + _COPIES * _known_outputs(stage, folder), 0
    if stage in ("sft", "tapo"):
        model, checkpoints = _training(stage, params, folder)
        needed, scratch = needed + model, max(0, checkpoints - _held(resume / "checkpoints"))
    if _disk(resume) == _disk(folder):
        check_space(folder / stage, needed + scratch)
    else:
        check_space(folder / stage, needed)
        check_space(resume / stage, scratch)
    return needed + scratch


def _held(folder: Path) -> int:
    """Bytes of the files below."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _disk(path: Path) -> int:
    """The device of the path, or of the nearest folder above it that is there."""
    there = next(item for item in (path, *path.absolute().parents) if item.exists())
    return there.stat().st_dev


def _known_outputs(stage: str, folder: Path) -> int:
    """Bytes of the stage's outputs when it last succeeded; 0 when it never did."""
    lock = folder / "dvc.lock"
    if not lock.is_file():
        return 0
    entry: Any = (YAML(typ="safe").load(lock) or {}).get("stages", {}).get(stage, {})
    return sum(out.get("size", 0) for out in entry.get("outs", []))


def _training(stage: str, params: Params, folder: Path) -> tuple[int, int]:
    """The trained model, and checkpoints of a whole one. Adapters need next to nothing."""
    weights = [*(folder / params.paths.base).glob("*.safetensors")]
    parameters = sum(num_parameters(path) for path in weights)
    has_adapters = stage == "tapo" and params.tapo.lora_rank > 0
    steps = params.sft.steps if stage == "sft" else params.tapo.steps
    is_kept = steps != 0 and not has_adapters
    checkpoints = _NUM_CHECKPOINTS * _CHECKPOINT_BYTES * parameters if is_kept else 0
    return _COPIES * _FLOAT * parameters, checkpoints


def num_parameters(path: Path) -> int:
    """Numbers in the tensors of a safetensors file, by its header."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return sum(
        math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__"
    )
