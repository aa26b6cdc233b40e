"""The wrong options of a closed-world question: by group, at random, by CLIP, or as released.

Each source ranks the other sub-categories of the category, seen and unseen, and the first ones
are taken, so that fewer options are always a part of more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from finer1.draws import draw
from finer1.records import ImageRecord

if TYPE_CHECKING:
    import torch

    from finer1.encoders.interface import TextImageEncoder

PROMPT = "a photo of a {}."
"""What FOCI-Benchmark asks CLIP about a class."""
HASH_DIGITS = 12
"""Digits of the encoder's hash that an option's source names."""

Category = tuple[str, str]
"""Dataset and category: two datasets may both have birds, under different names."""
Groups = Mapping[str, str | None]
"""Sub-category of one category -> its group."""


@dataclass(frozen=True)
class Distractors:
    """The wrong options of one question."""

    names: tuple[str, ...]
    source: str
    """As Question.source has it."""


@dataclass(frozen=True)
class LikelyNames:
    """The class names that an image is most easily taken for, by a source that looked at it."""

    source: str
    """`clip:<encoder>@<hash>`, or foci: the released lists (finer1/released/lists.py)."""
    names: Mapping[str, tuple[str, ...]]
    """Image id -> at least as many names as a question has options, best first; the truth may be
    among them. Of clip every image has them, of foci those that were released."""


def random_distractors(
    question_id: str, label: str, groups: Groups, count: int, seed: int
) -> Distractors:
    """`count` other sub-categories by seeded hash."""
    return Distractors(tuple(_shuffled(question_id, label, groups, seed)[:count]), "random")


def sibling_distractors(
    question_id: str, label: str, groups: Groups, count: int, seed: int
) -> Distractors:
    """`count` other sub-categories, those of the label's group first, then by seeded hash.

    The source is `siblings` when all are, `mixed` or `random` when some or none are.
    """
    others = _shuffled(question_id, label, groups, seed)
    siblings = {name for name in others if groups[label] and groups[name] == groups[label]}
    others.sort(key=lambda name: name not in siblings)  # stable: hash order stays inside
    names = tuple(others[:count])
    if not siblings:
        return Distractors(names, "random")
    return Distractors(names, "siblings" if set(names) <= siblings else "mixed")


def likeliest_distractors(image: ImageRecord, likely: LikelyNames, count: int) -> Distractors:
    """The `count` likeliest other sub-categories.

    With the truth they are what FOCI asks (arXiv:2406.14496): the `count` + 1 likeliest names, the
    truth in place of the last where it is not among them.
    """
    others = [name for name in likely.names[image.id] if name != image.label]
    return Distractors(tuple(others[:count]), likely.source)


def score_names(
    images: Sequence[ImageRecord],
    embeddings: "torch.Tensor",
    names: Mapping[Category, Sequence[str]],
    encoder: "TextImageEncoder",
    count: int,
) -> LikelyNames:
    """The `count` names of its category whose "a photo of a <name>." is nearest to each image.

    embeddings: [N, D], those of `images` by the same encoder, any scale. Nearest by cosine; equal
    ones, to six digits, by name.
    """
    from torch.nn.functional import normalize

    asked = sorted({(image.dataset, image.category) for image in images})
    known = {category: tuple(sorted(names[category])) for category in asked}
    texts = {
        category: normalize(
            encoder.encode_texts([PROMPT.format(name) for name in known[category]]).double(), dim=-1
        )
        for category in asked
    }
    unit = normalize(embeddings.double(), dim=-1)
    likeliest = {}
    for image, row in zip(images, unit, strict=True):
        category = image.dataset, image.category
        cosines = (texts[category] @ row).tolist()
        # Rounded: the last bits vary with the machine.
        ranked = sorted(
            (-round(cosine, 6), name) for cosine, name in zip(cosines, known[category], strict=True)
        )
        likeliest[image.id] = tuple(name for _, name in ranked[:count])
    return LikelyNames(f"clip:{encoder.name}@{encoder.sha256[:HASH_DIGITS]}", likeliest)


def order_options(names: Sequence[str], question_id: str, seed: int) -> tuple[str, ...]:
    """The options in the order shown, by seeded hash."""
    return tuple(sorted(names, key=lambda name: draw(seed, "question order", question_id, name)))


def _shuffled(question_id: str, label: str, groups: Groups, seed: int) -> list[str]:
    others = [name for name in groups if name != label]
    return sorted(others, key=lambda name: draw(seed, "question option", question_id, name))
