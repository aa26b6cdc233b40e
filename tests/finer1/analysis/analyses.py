"""Made-up analyses of eight test images of four sub-categories."""

from finer1.analysis.results import (
    Accuracy,
    Analysis,
    LayerFigures,
    ProbeFigures,
    ProbeRule,
    SeparabilityFigures,
    SimilarityFigures,
)

CLASSES = tuple(f"d/bird/{name}" for name in "abcd" for _ in range(2))
IDS = tuple(f"d/{place}" for place in range(8))


def made_up(num_right, deltas, model="models/x"):
    """One whose probe is right in the first `num_right` images, and these deltas of two targets.

    That is the best epoch on the test; the last is right in one image less, that by validation
    in two.
    """
    right = tuple(place < num_right for place in range(8))
    accuracy = Accuracy(num_right / 8, 0.1, 0.9)
    best, last, validated = (
        ProbeRule(epoch, Accuracy(sum(kept) / 8, 0.1, 0.9), kept)
        for epoch, kept in ((7, right), (9, _less(right, 1)), (8, _less(right, 2)))
    )
    mean = sum(deltas) / len(deltas)
    low, high = mean - 0.01, mean + 0.01
    first = LayerFigures(0.7, 0.6, 0.1, 0.05, 0.15, 1.5, 0.34, 0.75)
    last_layer = LayerFigures(0.5 + mean, 0.5, mean, low, high, 2.5, 0.24, 0.5)
    points = tuple((float(place), float(-place)) for place in range(8))
    return Analysis(
        model=model,
        identity=f"float32:{model}",
        test_ids=IDS,
        test_classes=CLASSES,
        probe=ProbeFigures(4, 1, 16, 8, best, last, validated),
        similarity=SimilarityFigures("genus", CLASSES[::4], 2, (first, last_layer), tuple(deltas)),
        separability=SeparabilityFigures(
            accuracy,
            0.5,
            0.04,
            accuracy,
            (0.5, 0.25),
            3,
            IDS,
            CLASSES,
            (*right, *right),
            points,
            points,
        ),
    )


def _less(right, count):
    """All but the last `count` of the right ones."""
    kept = sum(right) - count
    return tuple(place < kept for place in range(len(right)))
