"""Low-rank adapters (LoRA, arXiv:2106.09685) inside a policy.

They are put into the model's own layers, so the model keeps its class and everything that runs a
policy runs one with adapters. Only they are trained and kept in checkpoints; whoever is given the
weights gets them with the adapters merged in (weights.py). The folder of a trained model has them
by themselves, too, in PEFT's form.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from safetensors.torch import save_file

from finer1.files import new_file, write_json

_NAME = ".default."
"""What PEFT calls the one adapter of a layer, inside of a model alone."""
_IN_FILES = "base_model.model."


def add_adapters(
    model: Any, rank: int, alpha: int, targets: Sequence[str], in_vision: bool, seed: int
) -> None:
    """Give the linear layers of these names an adapter each and freeze all else.

    in_vision: in the vision tower, too. Raises ValueError when no layer has such a name.
    """
    where = r"(.*\.)?" if in_vision else r"(.*\.)?language_model\.(.*\.)?"
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=0.0,
        target_modules=rf"{where}({'|'.join(targets)})",
    )
    with torch.random.fork_rng():  # the start of an adapter is drawn from the global generator
        torch.manual_seed(seed)
        inject_adapter_in_model(config, model)


def adapter_weights(model: Any) -> dict[str, torch.Tensor]:
    """The adapters' parameters, under the names that they have in PEFT's files; perhaps none."""
    return {
        f"{_IN_FILES}{name.replace(_NAME, '.')}": value
        for name, value in model.named_parameters()
        if ".lora_" in name
    }


def write_adapters(
    folder: Path, model: Any, weights: Mapping[str, torch.Tensor], base: Path, final: Path
) -> None:
    """Write adapters as PEFT reads them: adapter_model.safetensors and adapter_config.json.

    weights: of adapter_weights, whole. base: folder of the model that they were trained on; the
    files name it relative to `final`, where they will be.
    """
    config = model.peft_config["default"].to_dict()
    config["base_model_name_or_path"] = os.path.relpath(base, final)
    config["inference_mode"] = True
    with new_file(folder / "adapter_model.safetensors") as part:
        save_file(dict(weights), part, metadata={"format": "pt"})
    write_json(folder / "adapter_config.json", config)
