"""How good selected concepts are, where the truth is known, beside two ways of picking blindly.

Truth are the features that an image shows and that tell sub-categories apart. Precision is the
share of an image's concepts that are true, recall the share of its true features among them.
"""

from collections.abc import Collection, Sequence
from statistics import fmean

from finer1.records import Concepts
from finer1.teacher.concepts import count_mentions


def measure_selection(
    rows: Sequence[Concepts],
    candidates: Sequence[Sequence[str]],
    truths: Sequence[Collection[str]],
) -> dict[str, float]:
    """Precision and recall of the selection and of two baselines, means over the images, [0, 1].

    rows: the selection, one image or more; candidates: what each was selected from; truths: what
    is true of each, one or more phrases, spelt like the candidates. The baselines pick as many
    candidates of each image as were selected: `random` is the expectation over all such picks,
    `frequency` takes those that the most captions of the image mention, first come first.
    """
    picked: dict[str, list[tuple[float, float]]] = {"": [], "random_": [], "frequency_": []}
    for row, phrases, truth in zip(rows, candidates, truths, strict=True):
        count = len(row.concepts)
        chance = _num_true(phrases, truth) / max(len(phrases), 1)
        by_mentions = sorted(phrases, key=lambda text: -count_mentions(row.captions, text))
        hits = {
            "": _num_true(row.concepts, truth),
            "random_": chance * count,
            "frequency_": _num_true(by_mentions[:count], truth),
        }
        for name, number in hits.items():
            picked[name].append((number / max(count, 1), number / len(truth)))
    figures = {}
    for name, pairs in picked.items():
        figures[f"concepts/{name}precision"] = fmean(precision for precision, _ in pairs)
        figures[f"concepts/{name}recall"] = fmean(recall for _, recall in pairs)
    return figures


def _num_true(phrases: Sequence[str], truth: Collection[str]) -> int:
    return sum(phrase in truth for phrase in phrases)
