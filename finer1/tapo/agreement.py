"""Whether two encoders find the same sub-categories alike.

Agreement with a baseline of colour and texture says how much of the encoder's similarity is what
meets the eye at once; neither is the truth. Chance is named beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from finer1.records import ImageRecord
from finer1.tapo.triplets import ClassSimilarity, class_similarity


@dataclass(frozen=True)
class Agreement:
    """Two encoders on the sub-categories of one category of one dataset."""

    dataset: str
    category: str
    classes: int
    same_nearest: float
    """Share of the sub-categories whose nearest other one is the same by both."""
    chance: float
    """That share for a nearest one drawn at random: 1 / (classes - 1)."""
    spearman: float | None
    """Rank correlation of the cosines of all pairs, in -1..1; None below three sub-categories, or
    where all pairs are equally alike."""
    in_group: float | None
    """Share of the sub-categories with siblings whose nearest is one, by the first encoder; None
    where no group is known."""
    baseline_in_group: float | None
    """The same by the second."""


def compare_encoders(
    images: Sequence[ImageRecord], first: torch.Tensor, second: torch.Tensor
) -> list[Agreement]:
    """The agreement on each dataset and category that has two sub-categories or more.

    first, second: [N, D1], [N, D2], embeddings of `images` by the encoder and by the baseline.
    """
    one, two = class_similarity(images, first), class_similarity(images, second)
    rows: dict[tuple[str, str], list[int]] = {}
    for row, (dataset, category, _) in enumerate(one.classes):
        rows.setdefault((dataset, category), []).append(row)
    return [_compare(one, two, group) for group in rows.values() if len(group) > 1]


def _compare(one: ClassSimilarity, two: ClassSimilarity, rows: list[int]) -> Agreement:
    dataset, category, _ = one.classes[rows[0]]
    same = sum(one.others(row)[0] == two.others(row)[0] for row in rows)
    return Agreement(
        dataset=dataset,
        category=category,
        classes=len(rows),
        same_nearest=same / len(rows),
        chance=1 / (len(rows) - 1),
        spearman=_rank_correlation(one, two, rows),
        in_group=_in_group(one, rows),
        baseline_in_group=_in_group(two, rows),
    )


def _rank_correlation(one: ClassSimilarity, two: ClassSimilarity, rows: list[int]) -> float | None:
    from scipy.stats import rankdata

    upper = torch.triu_indices(len(rows), len(rows), offset=1)
    pairs = [each.cosines[rows][:, rows][upper[0], upper[1]] for each in (one, two)]
    # Rounded, since equal classes differ in their last bits, and ties must stay ties.
    ranks = torch.stack([torch.from_numpy(rankdata(pair.numpy().round(9))) for pair in pairs])
    centred = ranks - ranks.mean(dim=1, keepdim=True)
    lengths = centred.norm(dim=1)
    if len(rows) < 3 or not bool((lengths > 0).all()):
        return None
    return float((centred[0] @ centred[1]) / lengths.prod())


def _in_group(similarity: ClassSimilarity, rows: list[int]) -> float | None:
    known = [row for row in rows if similarity.siblings(row)]
    if not known:
        return None
    return sum(
        similarity.groups[similarity.others(row)[0]] == similarity.groups[row] for row in known
    ) / len(known)
