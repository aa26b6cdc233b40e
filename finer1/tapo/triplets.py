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
from finer1.records import ImageRecord, Triplet

ClassKey = tuple[str, str, str]
"""Dataset, category, sub-category."""


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

    def others(self, row: int) -> list[int]:
        """The other sub-categories of the same dataset and category, nearest first."""
        own = self.classes[row][:2]
        rest = [i for i, name in enumerate(self.classes) if name[:2] == own and i != row]
        return sorted(rest, key=lambda i: (-float(self.cosines[row, i]), i))

    def siblings(self, row: int) -> list[int]:
        """Those of the others that share the group, nearest first; none where it is unknown."""
        own = self.groups[row]
        return [i for i in self.others(row) if own and self.groups[i] == own]


def class_similarity(images: Sequence[ImageRecord], embeddings: torch.Tensor) -> ClassSimilarity:
    """The similarity of the images' sub-categories.

    embeddings: [N, D], one per image, any scale; each weighs the same in its class's mean.
    """
    members: dict[ClassKey, list[int]] = defaultdict(list)
    for index, image in enumerate(images):
        members[image.dataset, image.category, image.label].append(index)
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
) -> list[Triplet]:
    """A triplet per image, in the order of `images`.

    embeddings: [N, D], one per image by `triplets.encoder`, any scale; encoder_sha256: its content.
    The only image of a sub-category is
    its own positive. Raises ValueError when a sub-category has fewer than `triplets.rank` others
    in its dataset and category.
    """
    similarity = class_similarity(images, embeddings)
    triplets: dict[int, Triplet] = {}
    for row, indices in enumerate(similarity.members):
        negative = _choose_negative(similarity, row, settings, generator)
        for index in indices:
            positives = [i for i in indices if i != index] or [index]
            triplets[index] = Triplet(
                anchor=images[index].id,
                label=images[index].label,
                category=images[index].category,
                positives=tuple(images[i].id for i in positives),
                negative_label=similarity.classes[negative][2],
                negatives=tuple(images[i].id for i in similarity.members[negative]),
                # Six digits: the last bits of a cosine vary with the number of threads.
                similarity=round(float(similarity.cosines[row, negative]), 6),
                encoder=settings.encoder,
                encoder_sha256=encoder_sha256,
            )
    return [triplets[index] for index in range(len(images))]


def draw_images(triplet: Triplet, generator: random.Random) -> tuple[str, str]:
    """Ids of a positive and a negative image of the triplet."""
    return generator.choice(triplet.positives), generator.choice(triplet.negatives)


def _choose_negative(
    similarity: ClassSimilarity, row: int, settings: TripletsParams, generator: random.Random
) -> int:
    dataset, category, label = similarity.classes[row]
    others = similarity.others(row)
    if not others:
        raise ValueError(
            f"{dataset}: {label} is the only seen sub-category of {category}; there is no negative"
        )
    if settings.negative == "random":
        return generator.choice(sorted(others))
    if settings.rank > len(others):
        raise ValueError(
            f"triplets.rank: {settings.rank} is asked for, but {label} has {len(others)} other "
            f"seen sub-categories of {category} in {dataset}; lower it"
        )
    siblings = similarity.siblings(row) if settings.negative == "siblings" else []
    ranked = siblings if len(siblings) >= settings.rank else others
    return ranked[settings.rank - 1]
