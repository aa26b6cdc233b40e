"""Rows of a tensor gathered by index, with a backward that gathers, too.

The backward of indexing scatters: one row after the other on a CPU, in no fixed order on a GPU,
and in bfloat16 it rounds after each addition. Where it is known beforehand who reads which row, a
row's gradient is the sum of rows that can be gathered, in a fixed order and rounded once.

Shape letters: S source rows, M gathered rows, C most readers of a row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Gather:
    """Which source rows are read, and by which gathered rows each of them."""

    index: torch.Tensor
    """[M], the source row of each gathered row; any row for padding."""
    readers: tuple[torch.Tensor, ...]
    """Blocks [S_i, C_i] over the source rows in order: gathered rows that read them; M is nobody.
    Blocks keep rows with one reader, the common case, apart from rows with many."""
    has_nobody: bool
    """Whether M occurs among the readers."""

    def __call__(self, source: torch.Tensor) -> torch.Tensor:
        """[M, ...] of source [S, ...]."""
        return _GatherRows.apply(source, self)


def build_gather(
    index: torch.Tensor, is_read: torch.Tensor, blocks: Sequence[int], device: torch.device
) -> Gather:
    """The gather of `index` [M] on `device`; rows without `is_read` [M] are padding.

    blocks: sizes of consecutive blocks of source rows, each with about equally many readers a row.
    index and is_read lie on the CPU, where building does not wait for a GPU.
    """
    places = is_read.nonzero().squeeze(-1)
    order = index[places].argsort(stable=True)
    places, rows = places[order], index[places[order]]
    counts = torch.bincount(rows, minlength=sum(blocks))
    ranks = torch.arange(len(rows)) - (counts.cumsum(0) - counts)[rows]
    readers, start, has_nobody = [], 0, False
    for size in blocks:
        inside = (rows >= start) & (rows < start + size)
        width = int(counts[start : start + size].max()) if size else 0
        table = torch.full((size, max(1, width)), len(index))
        table[rows[inside] - start, ranks[inside]] = places[inside]
        has_nobody = has_nobody or bool((table == len(index)).any())
        readers.append(table.to(device))
        start += size
    return Gather(index.to(device), tuple(readers), has_nobody)


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, source: torch.Tensor, gather: Gather) -> torch.Tensor:
        ctx.gather = gather
        return source.index_select(0, gather.index)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        gather, shape = ctx.gather, gradient.shape[1:]
        if gather.has_nobody:
            gradient = torch.cat([gradient, gradient.new_zeros(1, *shape)])
        blocks = []
        for table in gather.readers:
            rows = gradient.index_select(0, table.flatten())
            is_single = table.shape[1] == 1
            blocks.append(rows if is_single else rows.view(*table.shape, *shape).sum(dim=1))
        return torch.cat(blocks) if len(blocks) > 1 else blocks[0], None
