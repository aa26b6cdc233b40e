"""Reading and writing model folders in the Hugging Face layout."""

import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from finer1 import faults
from finer1.files import check_space, new_folder
from finer1.manifest import MANIFEST, check_folder, write_manifest
from finer1.policy.adapters import adapter_weights, write_adapters
from finer1.policy.families.interface import check_trainable, family_of, vision_parts
from finer1.policy.image_bounds import NO_BOUNDS, Bounds, write_bounds
from finer1.policy.sharding import collect_all
from finer1.policy.storage import ADAPTERS, FLOAT32_PARAMETERS
from finer1.policy.vision_attention import batch_windows
from finer1.policy.weights import named_weights

_OWN_FILES = ("config.json", "README.md", MANIFEST)
"""Files of the start model that describe its weights and so are not copied."""


def pick_device(device: str) -> str:
    """`auto` resolved to cuda or cpu."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


def load_policy(folder: Path, device: str, train_vision: bool) -> tuple[Any, Any]:
    """The model, float32 and ready for training, and its processor.

    Without `train_vision` the vision tower takes no gradient. Weights are float32 on a GPU, too:
    updates of a small learning rate vanish in bfloat16. Raises ValueError for a folder of a family
    that cannot be trained, and for files that are not as its manifest says.
    """
    check_trainable(folder)
    check_folder(folder)
    model = AutoModelForImageTextToText.from_pretrained(
        folder,
        dtype=torch.float32,
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
    )
    for parameter in vision_parts(model):
        parameter.requires_grad_(train_vision)
    if family_of(model).has_bounds:
        batch_windows(model)
    return model.to(pick_device(device)), load_processor(folder)


def load_processor(folder: Path) -> Any:
    """The processor of a model folder."""
    return AutoProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def save_policy(
    model: Any, start: Path, output: Path, is_writer: bool = True, bounds: Bounds = NO_BOUNDS
) -> None:
    """Write the trained model to `output`, with tokenizer, processor and template of `start`.

    bounds: of the images' pixels, to be written into the processor. Equal weights give equal
    bytes. `output` is whole or absent, and has the hashes of its files. Adapters are merged, and
    are in the folder ADAPTERS by themselves. Every process of a run must call it; the one with
    `is_writer` writes.
    Raises OSError, with what is needed and what is free, when the disk is full.
    """
    state = {}
    for name, value in named_weights(model):
        if is_writer:
            state[name] = value.cpu()
    adapters = collect_all(adapter_weights(model), is_writer)
    if not is_writer:
        return
    is_small = sum(value.numel() for value in state.values()) <= FLOAT32_PARAMETERS
    dtype = torch.float32 if is_small else torch.bfloat16
    state = {name: value.to(dtype).contiguous() for name, value in state.items()}
    check_space(output, sum(value.nbytes for value in state.values()))
    with new_folder(output) as part:
        model.config.dtype = dtype
        model.save_pretrained(part, state_dict=state)
        faults.point("model:after_weights")
        for path in sorted(start.iterdir()):
            is_weight = ".safetensors" in path.name
            if path.is_file() and not is_weight and path.name not in _OWN_FILES:
                shutil.copyfile(path, part / path.name)
        write_bounds(part, *bounds)
        if adapters:
            write_adapters(part / ADAPTERS, model, adapters, start, output / ADAPTERS)
        write_manifest(part)


def copy_policy(start: Path, output: Path, bounds: Bounds = NO_BOUNDS) -> None:
    """Copy a model folder, with other bounds of the images' pixels where they are given."""
    check_folder(start)
    with new_folder(output) as part:
        shutil.copytree(start, part, dirs_exist_ok=True)
        write_bounds(part, *bounds)
        write_manifest(part)
