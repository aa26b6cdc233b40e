"""The vote of several sampled completions: is an answer right that most of them give?

The share of the most frequent answer is a measure of certainty that a model gives about itself.
Reliability diagrams and the expected calibration error compare it with how often that answer is
right (Guo et al. 2017, arXiv:1706.04599; votes as Wang et al. 2023, arXiv:2203.11171).
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from finer1.evaluation.answers import normalise

BINS = 5
"""Bins of equal width over the share of votes: (0, 0.2], ..., (0.8, 1]."""


@dataclass(frozen=True)
class Vote:
    """The most frequent answer of some samples."""

    answer: str | None
    """Normalised; None where most samples have no one answer."""
    share: float
    """Of the samples, above 0 and at most 1."""

    def is_answer(self, label: str) -> bool:
        """True when the vote is for the label, by the strict rule."""
        return self.answer is not None and self.answer == normalise(label)


def count_votes(answers: Sequence[str | None]) -> Vote:
    """The vote of one answer or more; of equally frequent ones, the first to come.

    Samples without an answer (None) vote together, for none of the names.
    """
    counts = Counter(None if answer is None else normalise(answer) for answer in answers)
    winner, times = counts.most_common(1)[0]  # of equal counts, the first counted
    return Vote(winner, times / len(answers))


def vote_metrics(model: str, votes: Iterable[tuple[float, bool]]) -> dict[str, float]:
    """Accuracy and calibration of (share, is correct) votes; empty without votes.

    Keys: `<model>/votes/{n,accuracy,ece}` and, for i from 0, `<model>/votes/bin_<i>/{n,share,
    accuracy}`; an empty bin has its n alone. ece: mean over the votes of the distance between
    share and accuracy of the vote's bin.
    """
    rows = list(votes)
    if not rows:
        return {}
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for share, is_correct in rows:
        # Rounded, so that a share on an edge, such as 3 of 5, is in the bin that ends there.
        bins[math.ceil(round(share * BINS, 9)) - 1].append((share, is_correct))
    key = f"{model}/votes"
    metrics = {f"{key}/n": float(len(rows)), f"{key}/accuracy": _mean(right for _, right in rows)}
    distance = 0.0
    for number, members in enumerate(bins):
        metrics[f"{key}/bin_{number}/n"] = len(members)
        if not members:
            continue
        share = _mean(share for share, _ in members)
        accuracy = _mean(right for _, right in members)
        metrics[f"{key}/bin_{number}/share"] = share
        metrics[f"{key}/bin_{number}/accuracy"] = accuracy
        distance += len(members) / len(rows) * abs(share - accuracy)
    metrics[f"{key}/ece"] = distance
    return metrics


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return math.fsum(found) / len(found)
