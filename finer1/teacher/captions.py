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

ClassKey = tuple[str, str]
"""Category and sub-category."""


@dataclass(frozen=True)
class Described:
    """An image with its captions."""

    image: ImageRecord
    captions: tuple[str, ...]


def select_for_images(
    described: Sequence[Described],
    lists: Mapping[ClassKey, str],
    encoder: Encoder,
    settings: ConceptsParams,
    seed: int,
) -> list[Concepts]:
    """The concepts of each image, in order.

    lists: the teacher's list for each sub-category; used with `class_list` only.
    """
    candidates = [_candidates(item, lists, settings) for item in described]
    texts = {text for item in described for text in item.captions}
    texts |= {text for phrases in candidates for text in phrases}
    order = sorted(texts)
    vectors = encoder(order)
    row_of = {text: row for row, text in enumerate(order)}
    rows = []
    for item, phrases in zip(described, candidates, strict=True):
        negatives = _negatives(item, described, settings.max_negatives, seed)
        scores = concept_information(
            _look_up(vectors, row_of, item.captions),
            _look_up(vectors, row_of, phrases),
            _look_up(vectors, row_of, negatives),
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


def _candidates(
    item: Described, lists: Mapping[ClassKey, str], settings: ConceptsParams
) -> list[str]:
    label = item.image.label
    if settings.candidates == "captions":
        return caption_phrases(item.captions, label)
    return listed_concepts(lists[item.image.category, label], label)


def _negatives(item: Described, described: Sequence[Described], most: int, seed: int) -> list[str]:
    """Captions of other sub-categories, at most `most`; same-class ones would punish what the
    class shares."""
    own = (item.image.category, item.image.label)
    others = [
        caption
        for other in described
        if (other.image.category, other.image.label) != own
        for caption in other.captions
    ]
    if len(others) <= most:
        return others
    generator = np.random.default_rng(derive_seed(seed, "negatives", item.image.id))
    return [others[index] for index in generator.choice(len(others), most, replace=False)]


def _look_up(vectors: Matrix, row_of: Mapping[str, int], texts: Sequence[str]) -> Matrix:
    return vectors[np.asarray([row_of[text] for text in texts], dtype=np.intp)]
