"""The weights of a policy as a model folder has them, one after the other."""

from collections.abc import Iterator
from typing import Any

import torch

from finer1.policy.sharding import collect

_BASE = ".base_layer."
"""What PEFT puts into the names of a layer that has an adapter."""


@torch.no_grad()
def named_weights(model: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Names and whole tensors of the unwrapped policy, adapters merged in, a tied head left out.

    Parameters that are spread over several processes are gathered, so each process must go
    through to the end.
    """
    layers = dict(model.named_modules())
    tied = "lm_head.weight" if model.config.tie_word_embeddings else None
    for name, value in model.named_parameters():  # a state_dict would spread FSDP2's again
        if name == tied or ".lora_" in name:
            continue
        weight = collect(value)
        if _BASE in name and name.endswith(".weight"):
            layer = layers[name.partition(_BASE)[0]]
            for adapter, scale in layer.scaling.items():
                down, up = layer.lora_A[adapter].weight, layer.lora_B[adapter].weight
                weight = weight + scale * (collect(up) @ collect(down))
        yield name.replace(_BASE, "."), weight
