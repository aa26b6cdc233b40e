"""Anchor, positive and negative images (Sec. 4.3 of Fine-R1; no released code).

The positive is another training image of the anchor's sub-category. The negative is an image of
the sub-category of the same dataset and category whose class-mean embedding is nearest by cosine;
the k-th nearest, the nearest of the same group or a random one are alternatives.
"""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from finer1.data_params import TripletsParams
from finer1.records import ClassKey, ImageRecord, Triplet

_DIGITS = 6
"""Of a cosine: the last bits vary with the machine and the number of threads."""


@dataclass(frozen=True)
class ClassSimilarity:
    """How alike the sub-categories of some images are."""

    classes: tuple[ClassKey, ...]
    """Sorted."""
    groups: tuple[str | None, ...]
    """Of each sub-category."""
    members: tuple[tuple[int, ...], ...]
    """Indices of the images of each sub-category."""
    cosines: torch.Tensor
    """[C, C], float64: cosine of the class-mean embeddings."""

    def cosine(self, row: int, other: int) -> float:
        """Cosine of two sub-categories, rounded so that equal ones are equal everywhere."""
        return round(float(self.cosines[row, other]), _DIGITS)

    def others(self, row: int) -> list[int]:
        """The other sub-categories of the same dataset and category, nearest first."""
        own = self.classes[row][:2]
        rest = [i for i, name in enumerate(self.classes) if name[:2] == own and i != row]
        return sorted(rest, key=lambda i: (-self.cosine(row, i), i))

    def siblings(self, row: int) -> list[int]:
        """Those of the others that share the group, nearest first; none where it is unknown."""
        own = self.groups[row]
        return [i for i in self.others(row) if own and self.groups[i] == own]


@dataclass(frozen=True)
class Mined:
    """Triplets, and where siblings were wanted and not found."""

    triplets: list[Triplet]
    """One per image, in the order of the images."""
    too_few_siblings: tuple[ClassKey, ...]
    """Sub-categories with fewer siblings than `triplets.rank`: all others stand in. Empty unless
    `triplets.negative` is siblings."""


def class_similarity(images: Sequence[ImageRecord], embeddings: torch.Tensor) -> ClassSimilarity:
    """The similarity of the images' sub-categories.

    embeddings: [N, D], one per image, any scale; each weighs the same in its class's mean.
    """
    members: dict[ClassKey, list[int]] = defaultdict(list)
    for index, image in enumerate(images):
        members[image.class_key].append(index)
    classes = tuple(sorted(members))
    unit = torch.nn.functional.normalize(embeddings.double(), dim=-1)
    means = torch.stack([unit[members[name]].mean(dim=0) for name in classes])
    means = torch.nn.functional.normalize(means, dim=-1)
    return ClassSimilarity(
        classes=classes,
        groups=tuple(images[members[name][0]].group for name in classes),
        members=tuple(tuple(members[name]) for name in classes),
        cosines=means @ means.T,
    )


def mine_triplets(
    images: Sequence[ImageRecord],
    embeddings: torch.Tensor,
    settings: TripletsParams,
    encoder_sha256: str,
    generator: random.Random,
) -> Mined:
    """A triplet per image.

    embeddings: [N, D], one per image by `triplets.encoder`, any scale; encoder_sha256: its content.
    The only image of a sub-category is its own positive. Raises ValueError when a sub-category has
    fewer than `triplets.rank` others in its dataset and category.
    """
    similarity = class_similarity(images, embeddings)
    triplets: dict[int, Triplet] = {}
    too_few = []
    for row, indices in enumerate(similarity.members):
        ranked = _candidates(similarity, row, settings)
        negative = _choose_negative(ranked, settings, generator)
        if settings.negative == "siblings" and len(similarity.siblings(row)) < settings.rank:
            too_few.append(similarity.classes[row])
        for index in indices:
            positives = [i for i in indices if i != index] or [index]
            triplets[index] = Triplet(
                anchor=images[index].id,
                label=images[index].label,
                category=images[index].category,
                positives=tuple(images[i].id for i in positives),
                negative_label=similarity.classes[negative][2],
                negatives=tuple(images[i].id for i in similarity.members[negative]),
                similarity=similarity.cosine(row, negative),
                encoder=settings.encoder,
                encoder_sha256=encoder_sha256,
            )
    return Mined([triplets[index] for index in range(len(images))], tuple(too_few))


def draw_images(triplet: Triplet, generator: random.Random) -> tuple[str, str]:
    """Ids of a positive and a negative image of the triplet."""
    return generator.choice(triplet.positives), generator.choice(triplet.negatives)


def _candidates(similarity: ClassSimilarity, row: int, settings: TripletsParams) -> list[int]:
    """The sub-categories to choose a negative from, nearest first, `triplets.rank` or more."""
    dataset, category, label = similarity.classes[row]
    others = similarity.others(row)
    if not others:
        raise ValueError(
            f"{dataset}: {label} is the only seen sub-category of {category}; there is no negative"
        )
    if settings.negative != "random" and settings.rank > len(others):
        raise ValueError(
            f"triplets.rank: {settings.rank} is asked for, but {label} has {len(others)} other "
            f"seen sub-categories of {category} in {dataset}; lower it"
        )
    siblings = similarity.siblings(row) if settings.negative == "siblings" else []
    return siblings if len(siblings) >= settings.rank else others


def _choose_negative(
    ranked: Sequence[int], settings: TripletsParams, generator: random.Random
) -> int:
    if settings.negative == "random":
        return generator.choice(sorted(ranked))
    return ranked[settings.rank - 1]
