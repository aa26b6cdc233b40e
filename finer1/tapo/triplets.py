"""Anchor, positive and negative images (Sec. 4.3 of Fine-R1; no released code).

The positive is another training image of the anchor's sub-category. The negative is an image of
the sub-category of the same dataset whose class-mean embedding is nearest by cosine.
"""

import random
from collections import defaultdict
from collections.abc import Sequence
from typing import Literal

import torch

from finer1.records import ImageRecord, Triplet

ClassKey = tuple[str, str, str]
"""Dataset, category, sub-category."""


def mine_triplets(
    images: Sequence[ImageRecord],
    embeddings: torch.Tensor,
    negative: Literal["nearest", "random"],
    generator: random.Random,
) -> list[Triplet]:
    """A triplet per image, in the order of `images`.

    embeddings: [N, D], one per image, any scale. Raises ValueError when a sub-category has a
    single image, or a dataset a single sub-category.
    """
    members: dict[ClassKey, list[int]] = defaultdict(list)
    for index, image in enumerate(images):
        members[_class_key(image)].append(index)
    for (dataset, _, label), indices in members.items():
        if len(indices) < 2:
            raise ValueError(
                f"{dataset}: {label} has one training image and so no positive; raise "
                "split.tapo_shots or add images"
            )
    classes = sorted(members)
    unit = torch.nn.functional.normalize(embeddings.double(), dim=-1)
    means = torch.stack([unit[members[name]].mean(dim=0) for name in classes])
    nearest = _nearest(classes, means, negative, generator)
    return [
        _triplet(index, images, members, *nearest[_class_key(image)])
        for index, image in enumerate(images)
    ]


def draw_images(triplet: Triplet, generator: random.Random) -> tuple[str, str]:
    """Ids of a positive and a negative image of the triplet."""
    return generator.choice(triplet.positives), generator.choice(triplet.negatives)


def _class_key(image: ImageRecord) -> ClassKey:
    return image.dataset, image.category, image.label


def _nearest(
    classes: list[ClassKey],
    means: torch.Tensor,
    negative: str,
    generator: random.Random,
) -> dict[ClassKey, tuple[ClassKey, float]]:
    """For each sub-category its negative one and the cosine of the two."""
    unit = torch.nn.functional.normalize(means, dim=-1)
    cosines = unit @ unit.T
    chosen = {}
    for row, name in enumerate(classes):
        others = [i for i, other in enumerate(classes) if other[0] == name[0] and i != row]
        if not others:
            raise ValueError(f"{name[0]}: {name[2]} is the only sub-category; there is no negative")
        if negative == "random":
            pick = generator.choice(others)
        else:
            pick = max(others, key=lambda i: (float(cosines[row, i]), -i))
        chosen[name] = (classes[pick], float(cosines[row, pick]))
    return chosen


def _triplet(
    index: int,
    images: Sequence[ImageRecord],
    members: dict[ClassKey, list[int]],
    negative: ClassKey,
    similarity: float,
) -> Triplet:
    anchor = images[index]
    siblings = members[_class_key(anchor)]
    return Triplet(
        anchor=anchor.id,
        label=anchor.label,
        category=anchor.category,
        positives=tuple(images[i].id for i in siblings if i != index),
        negative_label=negative[2],
        negatives=tuple(images[i].id for i in members[negative]),
        # Six digits: the last bits of a cosine vary with the number of threads.
        similarity=round(similarity, 6),
    )
