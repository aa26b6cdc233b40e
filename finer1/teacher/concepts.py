"""Image-level visual concepts by information-bottleneck selection (Sec. 4.2 of Fine-R1).

The released code has none of it; the algorithm is that of SelfSynthX (arXiv:2502.14044), with
its known slips put right: negatives are captions of other sub-categories only, the estimate is
computed with logsumexp, and it is a mean over the captions.

Shapes: M captions of the image, N candidate concepts, L negative captions, D embedding.
"""

import re
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from finer1.data_params import ConceptsParams

Matrix = NDArray[np.float64]

_BULLET = re.compile(r"^\s*(?:[-*+\u2022\u2013]|\d+[.)])(?:\s+|$)")
_EMPHASIS = re.compile(r"[*`]+")
_BREAK = re.compile(r"[.,;:!?\n]|\band\b|\bwith\b", re.IGNORECASE)
_OPENING = re.compile(r"^(?:(?:an?|the|its|it|has)\s+)+", re.IGNORECASE)


def concept_information(
    captions: Matrix, concepts: Matrix, negatives: Matrix, tau: float
) -> Matrix:
    """InfoNCE estimate of what each concept tells about the image, nats.

        s_j = 1/M sum_i [ a_i.b_j/tau - logsumexp( a_i.b_j/tau, {b_j.c_k/tau}_k ) ]

    captions: [M, D] (a, at least one), concepts: [N, D] (b), negatives: [L, D] (c, may be empty);
    rows of length 1. Returns [N], each at most 0; all 0 without negatives.
    """
    positive = captions @ concepts.T / tau
    negative = np.logaddexp.reduce(concepts @ negatives.T / tau, axis=1, initial=-np.inf)
    return np.asarray((positive - np.logaddexp(positive, negative)).mean(axis=0))


def select_concepts(
    candidates: Sequence[str], scores: Matrix, settings: ConceptsParams
) -> list[tuple[str, float]]:
    """The candidates above mean + threshold x std of the scores, best first.

    At least `min_concepts`, where there are so many; equal scores keep the candidates' order.
    """
    if not candidates:
        return []
    threshold = scores.mean() + settings.threshold_std * scores.std()
    count = max(int((scores > threshold).sum()), settings.min_concepts)
    order = np.argsort(-scores, kind="stable")[:count]
    return [(candidates[index], float(scores[index])) for index in order]


def listed_concepts(text: str, label: str) -> list[str]:
    """Candidate concepts of a class-level list: a phrase per line, without bullets or numbers.

    A line that ends with a colon announces the list.
    """
    lines = (_EMPHASIS.sub("", _BULLET.sub("", line)).strip() for line in text.splitlines())
    return _distinct((line for line in lines if not line.endswith(":")), label)


def count_mentions(captions: Sequence[str], concept: str) -> int:
    """How many captions hold the concept as whole words, whatever the case."""
    pattern = re.compile(rf"(?<!\w){re.escape(concept)}(?!\w)", re.IGNORECASE)
    return sum(pattern.search(caption) is not None for caption in captions)


def caption_phrases(captions: Iterable[str], label: str) -> list[str]:
    """Candidate concepts split from captions at punctuation and conjunctions."""
    return _distinct((phrase for text in captions for phrase in _BREAK.split(text)), label)


def _distinct(phrases: Iterable[str], label: str) -> list[str]:
    """Each phrase once, in order of appearance; one that names the sub-category is no feature."""
    kept: dict[str, str] = {}
    for phrase in phrases:
        text = _OPENING.sub("", " ".join(phrase.split())).strip(" .")
        if text and not count_mentions([text], label):
            kept.setdefault(text.casefold(), text)
    return list(kept.values())
