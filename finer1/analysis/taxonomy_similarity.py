"""Whether a model's images of one genus lie nearer together: the similarity of Table 4 of Fine-R1.

For each sub-category one congener and a few sub-categories of other genera of its category are
drawn, by seed and names, so that every model is measured on the same ones. A sub-category is the
mean of its images' features. Its delta is the cosine to the congener less the mean cosine to the
others.

Shape letters: K classes, L layers, D hidden size, n targets, M others.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from finer1.draws import draw
from finer1.evaluation.answers import normalise
from finer1.evaluation.taxonomy import Lineage, Taxonomy
from finer1.records import ClassKey


@dataclass(frozen=True)
class Target:
    """A sub-category and those that it is compared with."""

    target: ClassKey
    congener: ClassKey
    others: tuple[ClassKey, ...]


@dataclass(frozen=True)
class LayerSimilarity:
    """Cosines of every target, layer by layer."""

    congener: torch.Tensor
    """[n, L + 1]"""
    others: torch.Tensor
    """[n, L + 1], the mean over the others."""

    @property
    def deltas(self) -> torch.Tensor:
        """[n, L + 1]"""
        return self.congener - self.others


def choose_targets(
    classes: Sequence[ClassKey], taxonomy: Taxonomy, num_others: int, seed: int
) -> list[Target]:
    """Each class that has a congener and enough classes of other genera in its category.

    The genus is the level right above the sub-category, below the same levels as far as they are
    named. Classes without one are no target and nobody's other.
    """
    genera: dict[tuple[str, str], dict[ClassKey, Lineage]] = defaultdict(dict)
    for key in sorted(set(classes)):
        path = taxonomy.paths.get((key[0], normalise(key[2])))
        if path is not None and path[-2]:
            genera[key[0], key[1]][key] = path[:-1]
    targets = []
    for members in genera.values():
        for key, genus in members.items():
            ranked = sorted(members, key=lambda other: draw(seed, "similarity", *key, *other))
            congeners = [other for other in ranked if other != key and members[other] == genus]
            others = [other for other in ranked if members[other] != genus]
            if congeners and len(others) >= num_others:
                targets.append(Target(key, congeners[0], tuple(others[:num_others])))
    return targets


def layer_similarity(
    means: Mapping[ClassKey, torch.Tensor], targets: Sequence[Target]
) -> LayerSimilarity:
    """Cosines between class means, float64; means: class -> [L + 1, D]."""

    def cosine(one: ClassKey, other: ClassKey) -> torch.Tensor:
        return torch.cosine_similarity(means[one].double(), means[other].double(), dim=-1)

    congener = [cosine(item.target, item.congener) for item in targets]
    others = [
        torch.stack([cosine(item.target, other) for other in item.others]).mean(dim=0)
        for item in targets
    ]
    return LayerSimilarity(torch.stack(congener), torch.stack(others))


def class_means(
    classes: Sequence[ClassKey], features: torch.Tensor
) -> dict[ClassKey, torch.Tensor]:
    """Class -> mean of its images' features; features: [N, ...], one per entry of `classes`."""
    places: dict[ClassKey, list[int]] = defaultdict(list)
    for place, key in enumerate(classes):
        places[key].append(place)
    return {key: features[here].mean(dim=0) for key, here in places.items()}
