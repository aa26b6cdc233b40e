"""Attention over a packed row, registered with transformers for the language model.

The completions of a prompt share its keys and values. Calls that bring no plan, such as sampling,
go to SDPA as they would without this.

Shape letters: S tokens of the row, N sequences, L tokens of a sequence, H heads, D head dimension.
"""

from functools import lru_cache
from typing import Any

import torch
from torch.nn.attention.varlen import varlen_attn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from finer1.policy.packed_plan import AttentionPlan, Bucket

SHARED_PREFIX = "shared_prefix"
"""Name of the attention implementation."""


def register() -> None:
    """Make the implementation known to transformers."""
    AttentionInterface.register(SHARED_PREFIX, shared_prefix_attention)
    AttentionMaskInterface.register(SHARED_PREFIX, sdpa_mask)


def shared_prefix_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    scoring: Any = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention output [1, S, H, D] of a packed row; SDPA's where `scoring` brings no plan.

    query: [1, H, S, D]; key and value may have fewer heads.
    """
    plan = None if scoring is None else scoring.attention
    if plan is None:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scaling, **kwargs
        )
    kind = value.device.type
    # Rotary embedding makes queries and keys float32 under autocast, which reaches SDPA alone.
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else value.dtype
    query, key, value = (
        states.squeeze(0).transpose(0, 1).to(dtype) for states in (query, key, value)
    )
    if dropout == 0 and has_varlen(value.device, dtype, value.shape[-1]):
        output = _varlen_attention(plan, query, key, value, scaling)
    else:
        output = _padded_attention(plan, query, key, value, scaling, dropout)
    return output.unsqueeze(0), None


def _varlen_attention(
    plan: AttentionPlan,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scaling: float | None,
) -> torch.Tensor:
    """[S, H, D] in one call without padding."""
    layout = plan.varlen
    return varlen_attn(
        query.contiguous(),
        layout.keys(key),
        layout.keys(value),
        layout.query_bounds,
        layout.key_bounds,
        layout.max_queries,
        layout.max_keys,
        scale=scaling,
        window_size=(-1, 0),
        enable_gqa=query.shape[1] != key.shape[1],
    )


def _padded_attention(
    plan: AttentionPlan,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scaling: float | None,
    dropout: float,
) -> torch.Tensor:
    """[S, H, D] in a call for each bucket."""
    layout = plan.padded
    lengths = [bucket.count * bucket.length for bucket in layout.buckets]
    widths = [bucket.count * (bucket.context + bucket.length) for bucket in layout.buckets]
    outputs = [
        _attend(bucket, q, k, v, scaling, dropout).flatten(0, 1)
        for bucket, q, k, v in zip(
            layout.buckets,
            layout.queries(query).split(lengths),
            layout.keys(key).split(widths),
            layout.keys(value).split(widths),
            strict=True,
        )
    ]
    return layout.outputs(torch.cat(outputs))


def _attend(
    bucket: Bucket,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scaling: float | None,
    dropout: float,
) -> torch.Tensor:
    """[N, L, H, D] of the bucket's tokens [N x L, H, D]."""
    query, key, value = (
        states.unflatten(0, (bucket.count, -1)).transpose(1, 2) for states in (query, key, value)
    )
    mask, repeats = bucket.mask(query), query.shape[1] // key.shape[1]
    if query.device.type != "cpu" and mask is not None:
        # On a GPU grouped heads and a mask together fall to the kernel that keeps all scores.
        key, value = repeat_kv(key, repeats), repeat_kv(value, repeats)
        repeats = 1
    output = scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=mask,
        dropout_p=dropout,
        is_causal=mask is None,
        scale=scaling,
        enable_gqa=repeats > 1,
    )
    return output.transpose(1, 2)


@lru_cache
def has_varlen(device: torch.device, dtype: torch.dtype, head_dim: int) -> bool:
    """Whether torch's kernel for ragged sequences runs here and means by causal what we do.

    A sequence with a context has more keys than queries; its last query must see its last key,
    which torch does not document. So that is tried once on two queries and five keys.
    """
    if device.type != "cuda" or dtype not in (torch.float16, torch.bfloat16):
        return False
    generator = torch.Generator(device).manual_seed(0)
    query, key, value = (
        torch.randn(length, 1, head_dim, generator=generator, device=device).to(dtype)
        for length in (2, 5, 5)
    )
    bounds = [torch.tensor([0, length], device=device, dtype=torch.int32) for length in (2, 5)]
    try:
        output = varlen_attn(query, key, value, *bounds, 2, 5, window_size=(-1, 0))
    except (RuntimeError, NotImplementedError):  # no kernel for this GPU or head dimension
        return False
    expected = scaled_dot_product_attention(
        *(states.float().transpose(0, 1) for states in (query, key, value)),
        attn_mask=torch.ones(2, 5, dtype=torch.bool, device=device).tril(3),
    )
    return torch.allclose(output.float(), expected.transpose(0, 1), atol=0.05)
