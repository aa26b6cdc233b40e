"""Pictures of a dataset that are nearly the same, by the distance of their perceptual hashes."""

from collections.abc import Sequence
from dataclasses import dataclass

from finer1.datasets.interface import ListedImage
from finer1.inspection.inspecting import Inspected
from finer1.inspection.near_pairs import MOST_PAIRS, NEAR_DISTANCE, near_pairs


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


@dataclass(frozen=True)
class NearPairs:
    """The pairs of one dataset."""

    pairs: tuple[NearPair, ...] = ()
    """The nearest first."""
    is_cut: bool = False
    """True when there may be more: the search ended at MOST_PAIRS."""


def near_duplicates(images: Sequence[ListedImage], inspected: Sequence[Inspected]) -> NearPairs:
    """Pairs within NEAR_DISTANCE across classes or sides.

    Exact copies are no near ones; images that could not be read are left out.
    """
    kept = [place for place, seen in enumerate(inspected) if seen.error is None]
    groups: dict[tuple[str, str, str], int] = {}
    of_image = [(images[i].category, images[i].label, images[i].official) for i in kept]
    found = near_pairs(
        [inspected[i].phash for i in kept],
        NEAR_DISTANCE,
        [groups.setdefault(group, len(groups)) for group in of_image],
        [inspected[i].sha256 for i in kept],
    )
    pairs = [NearPair(images[kept[a]], images[kept[b]], bits) for a, b, bits in found]
    pairs.sort(key=lambda pair: pair.distance)
    return NearPairs(tuple(pairs), is_cut=len(found) >= MOST_PAIRS)
