"""The vision tower's attention with equal windows in one call instead of one call per window.

transformers calls SDPA in a loop over the windows of an image: 1124 small calls for 640 visual
tokens of Qwen2.5-VL, bound by launches on a GPU. Only implementations with "flash" in their name
get all windows at once, hence the name. Outputs and gradients equal the loop's bit for bit.

Shape letters: S patches of all images, W windows of one length L, H heads, D head dimension.
"""

from dataclasses import dataclass
from typing import Any

import torch
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from finer1.policy.gather import Gather, build_gather

BATCHED_WINDOWS = "batched_windows_flash"
"""Name of the attention implementation."""


@dataclass(frozen=True)
class _WindowPlan:
    """Windows sorted by length."""

    sizes: tuple[tuple[int, int], ...]
    """(W, L) of each length."""
    gather: Gather | None
    """Sorts the patches so; None where they already are."""
    back: Gather | None


def batch_windows(model: Any) -> None:
    """Let the vision tower of the transformers model `model` use it, if it attends by SDPA."""
    config = getattr(model.config, "vision_config", None)
    if config is None or config._attn_implementation != "sdpa":
        return
    AttentionInterface.register(BATCHED_WINDOWS, batched_window_attention)
    config._attn_implementation = BATCHED_WINDOWS


def batched_window_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    cu_seq_lens_q: torch.Tensor | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention output [1, S, H, D] within each window.

    query, key, value: [1, H, S, D]. cu_seq_lens_q: [windows + 1], where windows begin and end.
    """
    assert cu_seq_lens_q is not None
    plan = _plan(cu_seq_lens_q)
    rows = [states.squeeze(0).transpose(0, 1) for states in (query, key, value)]
    if plan.gather is not None:
        rows = [plan.gather(states) for states in rows]
    counts = [count * length for count, length in plan.sizes]
    outputs = []
    for (count, length), *parts in zip(
        plan.sizes, *(states.split(counts) for states in rows), strict=True
    ):
        windows = [part.view(count, length, *part.shape[1:]).transpose(1, 2) for part in parts]
        output, _ = sdpa_attention_forward(
            module, *windows, None, dropout, scaling, is_causal=False
        )
        outputs.append(output.flatten(0, 1))
    joined = torch.cat(outputs) if len(outputs) > 1 else outputs[0]
    return (joined if plan.back is None else plan.back(joined)).unsqueeze(0), None


def _plan(bounds: torch.Tensor) -> _WindowPlan:
    """The plan of these window bounds, kept on the tensor: all layers are given the same one.

    Reading the bounds waits for a GPU, which once per layer would undo the gain.
    """
    plan: _WindowPlan | None = getattr(bounds, "_window_plan", None)
    if plan is None:
        plan = _make_plan(bounds)
        bounds._window_plan = plan
    return plan


def _make_plan(bounds: torch.Tensor) -> _WindowPlan:
    edges = bounds.cpu()
    lengths = (edges[1:] - edges[:-1]).long()
    order = lengths.argsort(stable=True, descending=True)
    distinct, counts = lengths[order].unique_consecutive(return_counts=True)
    sizes = tuple(zip(counts.tolist(), distinct.tolist(), strict=True))
    if (order == torch.arange(len(order))).all():
        return _WindowPlan(sizes, None, None)
    patches = torch.arange(int(lengths.sum())).split(lengths.tolist())
    index = torch.cat([patches[window] for window in order.tolist()])
    inverse, is_read = index.argsort(), torch.ones(len(index), dtype=torch.bool)
    gathers = [build_gather(rows, is_read, [len(rows)], bounds.device) for rows in (index, inverse)]
    return _WindowPlan(sizes, *gathers)
