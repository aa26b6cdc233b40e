"""Pictures that are nearly the same, by the distance of their perceptual hashes.

The hash is that of finer1/inspection/looking.py: 64 bits, one per low frequency of the picture.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from finer1.datasets.interface import ListedImage
from finer1.inspection.inspecting import Inspected

NEAR_DISTANCE = 6
"""Differing bits of 64 up to which two pictures count as nearly the same.

Measured on 2,142 photographs of five datasets: JPEG of quality 20, half or quarter size and grey
stay within it in all of 536 copies, 30 % more light in 98 %, a turn by one degree in 98 %, a border
of 2 % cut off in 83 %. Of the 2.3 million pairs of different photographs two are within it, and
both are one picture twice; the third nearest, at 8, are two different cars in the same pose.
"""

MOST_PAIRS = 100_000
"""More are not worth a list: the pictures are then flat or copies of a few."""

_ROWS, _COLUMNS = 16, 8192
"""Hashes compared at once: the table of differences, 1 MiB, stays in the processor's cache."""


@dataclass(frozen=True)
class NearPair:
    """Two images of different classes or sides whose pictures are nearly the same."""

    first: ListedImage
    second: ListedImage
    distance: int
    """Differing bits of 64."""

    @property
    def is_across_sides(self) -> bool:
        """True for a training image beside a test one, and the like."""
        return self.first.official != self.second.official


def near_duplicates(
    images: Sequence[ListedImage], inspected: Sequence[Inspected]
) -> list[NearPair]:
    """Pairs within NEAR_DISTANCE across classes or sides, the nearest first.

    Exact copies are no near ones; images that could not be read are left out. At most MOST_PAIRS.
    """
    kept = [place for place, seen in enumerate(inspected) if seen.error is None]
    groups: dict[tuple[str, str, str], int] = {}
    of_image = [(images[i].category, images[i].label, images[i].official) for i in kept]
    kinds = [groups.setdefault(group, len(groups)) for group in of_image]
    pairs = [
        NearPair(images[kept[a]], images[kept[b]], distance)
        for a, b, distance in near_pairs([inspected[i].phash for i in kept], NEAR_DISTANCE, kinds)
        if inspected[kept[a]].sha256 != inspected[kept[b]].sha256
    ]
    return sorted(pairs, key=lambda pair: pair.distance)


def near_pairs(
    hashes: Sequence[str], threshold: int, kinds: Sequence[int] | None = None
) -> list[tuple[int, int, int]]:
    """(i, j, distance) with i < j and at most `threshold` differing bits, in order of i and j.

    hashes: 16 hex digits each. kinds: a number per hash; pairs of one kind are left out. Stops
    after MOST_PAIRS. Compares all with all, in one to two nanoseconds a pair: 2 to 4 s for 60,000.
    """
    import numpy as np

    values = np.array([int(text, 16) for text in hashes], dtype=np.uint64)
    marks = np.arange(len(values)) if kinds is None else np.array(kinds, dtype=np.int64)
    found: list[tuple[int, int, int]] = []
    for row in range(0, len(values), _ROWS):
        here: list[tuple[int, int, int]] = []
        for rows, columns, distances in _close(values, marks, row, threshold):
            above = rows < columns
            chosen = (part[above].tolist() for part in (rows, columns, distances))
            here += zip(*chosen, strict=True)
        found += sorted(here)
        if len(found) >= MOST_PAIRS:
            return found[:MOST_PAIRS]
    return found


def _close(values: Any, marks: Any, row: int, threshold: int) -> Iterator[tuple[Any, Any, Any]]:
    """Places and distances of the hashes near those from `row` on, block by block."""
    import numpy as np

    some = values[row : row + _ROWS, None]
    differences = np.empty((len(some), _COLUMNS), np.uint64)
    counts = np.empty((len(some), _COLUMNS), np.uint8)
    for column in range(row, len(values), _COLUMNS):
        others = values[None, column : column + _COLUMNS]
        width = others.shape[1]
        differing = counts[:, :width]
        np.bitwise_count(np.bitwise_xor(some, others, out=differences[:, :width]), out=differing)
        if differing.min() > threshold:
            continue
        near = differing <= threshold
        near &= marks[row : row + _ROWS, None] != marks[None, column : column + _COLUMNS]
        rows, columns = np.nonzero(near)
        yield rows + row, columns + column, differing[rows, columns]
