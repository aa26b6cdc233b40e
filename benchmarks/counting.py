"""What a pass really goes through: tokens, images, counted FLOPs, memory kept for the backward."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import (
    FlopCounterMode,
    sdpa_backward_flop_count,
    sdpa_flop_count,
)

MIB = 2**20


@dataclass
class Counts:
    """Of one forward pass; FLOPs of the backward pass, too."""

    tokens: int = 0
    """In the decoder, padding included."""
    patches: int = 0
    """In the vision tower."""
    images: int = 0
    flops: int = 0


@contextmanager
def counted_inputs(model: Any, counts: Counts) -> Iterator[None]:
    """Add what decoder and tower are given, recomputation not included."""

    def decoder(module: Any, args: Any, kwargs: dict[str, Any]) -> None:
        rows, width = kwargs["inputs_embeds"].shape[:2]
        counts.tokens += rows * width

    def tower(module: Any, args: Any, kwargs: dict[str, Any]) -> None:
        grids = kwargs["grid_thw"]
        counts.images += len(grids)
        counts.patches += int(grids.prod(-1).sum())

    hooks = [
        model.model.language_model.register_forward_pre_hook(decoder, with_kwargs=True),
        model.model.visual.register_forward_pre_hook(tower, with_kwargs=True),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def counted_flops(counts: Counts) -> Iterator[None]:
    """Add the FLOPs that torch's counter sees, attention on the CPU and in-place products, too."""
    aten = torch.ops.aten
    with FlopCounterMode(
        display=False,
        custom_mapping={
            aten._scaled_dot_product_flash_attention_for_cpu: _attention,
            aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
            aten.addmm_: _product,
        },
    ) as counter:
        yield
    counts.flops += counter.get_total_flops()


def _product(total: Any, left: Any, right: Any, *args: Any, **kwargs: Any) -> int:
    return 2 * int(left[0]) * int(left[1]) * int(right[1])


def _attention(query: Any, key: Any, value: Any, *args: Any, **kwargs: Any) -> int:
    return int(sdpa_flop_count(query, key, value))


def _attention_backward(
    grad: Any, query: Any, key: Any, value: Any, *args: Any, **kwargs: Any
) -> int:
    return int(sdpa_backward_flop_count(grad, query, key, value))


@contextmanager
def saved_memory(model: Any) -> Iterator[dict[int, int]]:
    """Bytes of each storage that the forward pass keeps for the backward, parameters left out.

    Counted once per storage, however many tensors share it. Leave the block before the backward.
    """
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    alive: dict[int, Any] = {}
    sizes: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        place = storage.data_ptr()
        if place not in own:
            # Held until the end: an address that is freed and used again would hide a storage.
            alive[place] = storage
            sizes[place] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield sizes
