"""Which tokens of a packed row see which, and in what layout attention kernels are given them.

A row holds sequences one after the other: prefixes (a prompt without its last token), which see
themselves, and segments (that last token and a completion), which see their prefix and
themselves. Both causal. A plan serves all layers of a forward pass.

Shape letters: S tokens of the row, N sequences, L tokens of a sequence.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch

from finer1.policy.gather import Gather, build_gather

_LENGTH_STEP = 1.2
"""Sequences whose lengths differ by less than this factor are padded to one length ..."""
_CONTEXT_STEP = 1.05
"""... if their contexts differ by less than this one: contexts are the longer part."""


@dataclass(frozen=True)
class Span:
    """A sequence of the row."""

    start: int
    """Its first token in the row."""
    length: int
    context_start: int = 0
    context_length: int = 0
    """The tokens before it, which it sees as well; 0 for a prefix."""

    @property
    def size_class(self) -> tuple[int, int]:
        """Equal for spans that are padded to one size."""
        context = self.context_length
        length_class = math.ceil(math.log(self.length, _LENGTH_STEP))
        return length_class, math.ceil(math.log(context, _CONTEXT_STEP)) if context else -1


@dataclass(frozen=True)
class Bucket:
    """Sequences that are padded to one size and attended in one call."""

    count: int
    length: int
    context: int
    context_lengths: torch.Tensor
    """[count], on the CPU."""
    masks: dict[tuple[torch.device, torch.dtype], torch.Tensor] = field(default_factory=dict)
    """Made at the first layer, used by all."""

    def mask(self, like: torch.Tensor) -> torch.Tensor | None:
        """[1 or count, 1, length, context + length], added to the scores; None: plainly causal.

        Padding comes after the tokens of context and sequence, so of a padded sequence only the
        context's needs hiding: what padded queries see is not read, nor are they seen.
        """
        if self.context == 0:
            return None
        key = (like.device, like.dtype)
        if key not in self.masks:
            width = self.context + self.length
            seen = torch.ones(self.length, width, dtype=torch.bool).tril(self.context)[None, None]
            if (self.context_lengths != self.context).any():
                place = torch.arange(width)
                absent = (place >= self.context_lengths[:, None]) & (place < self.context)
                seen = seen & ~absent[:, None, None, :]
            mask = torch.zeros(seen.shape).masked_fill_(~seen, -math.inf)
            self.masks[key] = mask.to(like.device, like.dtype)
        return self.masks[key]


@dataclass(frozen=True)
class PaddedLayout:
    """For kernels that want sequences of one length."""

    buckets: tuple[Bucket, ...]
    queries: Gather
    """From the row to the buckets' sequences."""
    keys: Gather
    """From the row to the buckets' contexts and sequences."""
    outputs: Gather
    """From the buckets' sequences to the row."""


@dataclass(frozen=True)
class VarlenLayout:
    """For kernels that take sequences of any length one after the other, as the row has them."""

    keys: Gather
    """From the row to each sequence's context and itself."""
    query_bounds: torch.Tensor
    """[N + 1] int32"""
    key_bounds: torch.Tensor
    """[N + 1] int32"""
    max_queries: int
    max_keys: int


class AttentionPlan:
    """The sequences of a row, which are laid out when a layer first asks."""

    def __init__(
        self, spans: Sequence[Span], blocks: tuple[int, int], device: torch.device
    ) -> None:
        """blocks: tokens of all prefixes, which come first, and of all segments."""
        self._spans = [span for span in spans if span.length]
        self._blocks = blocks
        self._device = device

    @cached_property
    def padded(self) -> PaddedLayout:
        """Buckets of sequences of about one size."""
        groups: dict[tuple[int, int], list[Span]] = defaultdict(list)
        for span in self._spans:
            groups[span.size_class].append(span)
        buckets, queries, keys = [], [], []
        for group in groups.values():
            own = _places([(span.start, span.length) for span in group])
            before = _places([(span.context_start, span.context_length) for span in group])
            lengths = torch.tensor([span.context_length for span in group])
            buckets.append(Bucket(len(group), own.shape[1], before.shape[1], lengths))
            queries.append(own.flatten())
            keys.append(torch.cat([before, own], dim=1).flatten())
        query_places = torch.cat(queries)
        size, is_query = sum(self._blocks), query_places >= 0
        gather = self._gather(query_places, (size,))
        # Each token is the query of one sequence: outputs are read where queries were written.
        writers = torch.where(is_query, query_places, size).unsqueeze(-1).to(self._device)
        outputs = Gather(
            gather.readers[0].squeeze(-1), (writers,), has_nobody=not bool(is_query.all())
        )
        return PaddedLayout(
            tuple(buckets), gather, self._gather(torch.cat(keys), self._blocks), outputs
        )

    @cached_property
    def varlen(self) -> VarlenLayout:
        """Bounds of the sequences and of what they see."""
        seen = [span.context_length + span.length for span in self._spans]
        own = [span.length for span in self._spans]
        parts = []
        for span in self._spans:
            parts.append(torch.arange(span.context_length) + span.context_start)
            parts.append(torch.arange(span.length) + span.start)
        return VarlenLayout(
            keys=self._gather(torch.cat(parts), self._blocks),
            query_bounds=self._bounds(own),
            key_bounds=self._bounds(seen),
            max_queries=max(own),
            max_keys=max(seen),
        )

    def _gather(self, places: torch.Tensor, blocks: Sequence[int]) -> Gather:
        return build_gather(places.clamp(min=0), places >= 0, blocks, self._device)

    def _bounds(self, lengths: list[int]) -> torch.Tensor:
        return torch.tensor([0, *lengths]).cumsum(0).to(self._device, torch.int32)


def _places(parts: Sequence[tuple[int, int]]) -> torch.Tensor:
    """[N, L], the row places of these (start, length); -1 for padding."""
    starts, lengths = torch.tensor(parts).unsqueeze(-1).unbind(1)
    steps = torch.arange(int(lengths.max()))
    return torch.where(steps < lengths, starts + steps, -1)
