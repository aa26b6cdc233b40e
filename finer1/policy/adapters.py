"""Low-rank adapters (LoRA, arXiv:2106.09685) inside a policy.

They are put into the model's own layers, so the model keeps its class and everything that runs a
policy runs one with adapters. Only they are trained and kept in checkpoints; whoever is given the
weights gets them with the adapters merged in (weights.py).
"""

from collections.abc import Sequence
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model


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
