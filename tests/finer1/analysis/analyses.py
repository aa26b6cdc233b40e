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
    """One whose probe has the first `num_right` images right, and these deltas of two targets."""
    right = tuple(place < num_right for place in range(8))
    accuracy = Accuracy(num_right / 8, 0.1, 0.9)
    rule = ProbeRule(7, accuracy, right)
    mean = sum(deltas) / len(deltas)
    layer = LayerFigures(0.5 + mean, 0.5, mean, mean - 0.01, mean + 0.01, 2.5, 0.24, 0.5)
    points = tuple((float(place), float(-place)) for place in range(8))
    return Analysis(
        model=model,
        identity=f"float32:{model}",
        test_ids=IDS,
        test_classes=CLASSES,
        probe=ProbeFigures(4, 16, 8, rule, rule, rule),
        similarity=SimilarityFigures("genus", CLASSES[::4], 2, (layer, layer), tuple(deltas)),
        separability=SeparabilityFigures(
            accuracy,
            0.5,
            0.04,
            accuracy,
            (0.5, 0.25),
            IDS,
            CLASSES,
            (*right, *right),
            points,
            points,
        ),
    )
