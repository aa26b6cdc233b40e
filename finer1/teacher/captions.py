"""From the teacher's captions and lists to the concepts of each image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from finer1.data_params import ConceptsParams
from finer1.draws import derive_seed
from finer1.records import Concepts, ImageRecord
from finer1.teacher.concepts import (
    Matrix,
    caption_phrases,
    concept_information,
    listed_concepts,
    select_concepts,
)
from finer1.teacher.encoders import Encoder

LabelKey = tuple[str, str]
"""Category and sub-category."""


@dataclass(frozen=True)
class Described:
    """An image with its captions; the teacher may have given none."""

    image: ImageRecord
    captions: tuple[str, ...]


def candidate_concepts(
    described: Sequence[Described], lists: Mapping[LabelKey, str], settings: ConceptsParams
) -> list[list[str]]:
    """The candidates of each image, in order.

    lists: the teacher's list for each sub-category; used with `class_list` only.
    """
    if settings.candidates == "captions":
        return [caption_phrases(item.captions, item.image.label) for item in described]
    return [
        listed_concepts(lists[item.image.category, item.image.label], item.image.label)
        for item in described
    ]


def select_for_images(
    described: Sequence[Described],
    candidates: Sequence[Sequence[str]],
    encoder: Encoder,
    settings: ConceptsParams,
    seed: int,
) -> list[Concepts]:
    """The concepts of each image, in order; none for an image without captions.

    candidates: of each image. What is selected for an image depends on the other images through
    their captions alone, not on their order.
    """
    texts = {text for item in described for text in item.captions}
    texts |= {text for phrases in candidates for text in phrases}
    order = sorted(texts)
    vectors = encoder(order)
    row_of = {text: row for row, text in enumerate(order)}
    by_id = sorted(described, key=lambda item: item.image.id)
    rows = []
    for item, phrases in zip(described, candidates, strict=True):
        selected: list[tuple[str, float]] = []
        if item.captions:
            scores = concept_information(
                _look_up(vectors, row_of, item.captions),
                _look_up(vectors, row_of, phrases),
                _look_up(vectors, row_of, _negatives(item, by_id, settings, seed)),
                settings.tau,
            )
            selected = select_concepts(phrases, scores, settings)
        rows.append(
            Concepts(
                image_id=item.image.id,
                label=item.image.label,
                captions=item.captions,
                concepts=tuple(text for text, _ in selected),
                scores=tuple(score for _, score in selected),
            )
        )
    return rows


def _negatives(
    item: Described, by_id: Sequence[Described], settings: ConceptsParams, seed: int
) -> list[str]:
    """Captions of other sub-categories, at most `max_negatives`.

    Same-class ones would punish what the class shares, also where two datasets have the class
    under different categories (a dog breed among the pets).
    """
    own = item.image
    others = [
        caption
        for other in by_id
        if other.image.label.casefold() != own.label.casefold()
        and (settings.negatives == "any" or other.image.category == own.category)
        for caption in other.captions
    ]
    if len(others) <= settings.max_negatives:
        return others
    generator = np.random.default_rng(derive_seed(seed, "negatives", own.id))
    drawn = generator.choice(len(others), settings.max_negatives, replace=False)
    return [others[index] for index in drawn]


def _look_up(vectors: Matrix, row_of: Mapping[str, int], texts: Sequence[str]) -> Matrix:
    return vectors[np.asarray([row_of[text] for text in texts], dtype=np.intp)]
