"""From features to the figures of Table 4 and Figure 4, with intervals over classes."""

from collections.abc import Sequence

import numpy as np
import torch

from finer1.analysis.choosing import ProbeSides, class_name
from finer1.analysis.paired_tests import paired_test
from finer1.analysis.probe import ProbeChoice, ProbeImages, number_classes, train_probe
from finer1.analysis.results import (
    Accuracy,
    LayerFigures,
    ProbeFigures,
    ProbeRule,
    SeparabilityFigures,
    SimilarityFigures,
)
from finer1.analysis.separability import Statements, first_plane, separate
from finer1.analysis.taxonomy_similarity import (
    Target,
    choose_targets,
    class_means,
    layer_similarity,
)
from finer1.draws import derive_seed
from finer1.evaluation.statistics import Bootstrap, mean_interval
from finer1.evaluation.taxonomy import Taxonomy
from finer1.evaluation_params import AnalysisParams
from finer1.records import ImageRecord


def measure_probe(
    sides: ProbeSides,
    features: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    settings: AnalysisParams,
    bootstrap: Bootstrap,
) -> ProbeFigures:
    """Train the probe; features: [N, D] of the three sides. The bootstrap's seed is the run's."""
    known = [image.class_key for image in sides.train]
    train, validation, test = (
        ProbeImages(rows, number_classes([image.class_key for image in images], known))
        for rows, images in zip(features, (sides.train, sides.validation, sides.test), strict=True)
    )
    seed = derive_seed(bootstrap.seed, "probe")
    probed = train_probe(train, validation, test, settings.probe, seed)
    classes = [class_name(image.class_key) for image in sides.test]

    def rule(choice: ProbeChoice) -> ProbeRule:
        right = accuracy(choice.is_right, classes, bootstrap)
        return ProbeRule(choice.epoch, right, choice.is_right)

    return ProbeFigures(
        num_classes=len(set(known)),
        left_out=sides.left_out,
        num_train=len(sides.train),
        num_validation=len(sides.validation),
        best_on_test=rule(probed.best_on_test),
        last=rule(probed.last),
        best_on_validation=rule(probed.best_on_validation),
    )


def measure_similarity(
    images: Sequence[ImageRecord],
    features: torch.Tensor,
    taxonomy: Taxonomy,
    settings: AnalysisParams,
    bootstrap: Bootstrap,
) -> SimilarityFigures | None:
    """Cosines of congeners against others, layer by layer; features: [N, L + 1, D].

    None where fewer than two sub-categories can be compared.
    """
    means = class_means([image.class_key for image in images], features)
    targets = choose_targets([*means], taxonomy, settings.similarity.others, bootstrap.seed)
    if len(targets) < 2:
        return None
    cosines = layer_similarity(means, targets)
    layers = [
        _layer(cosines.congener[:, k], cosines.others[:, k], targets, settings, bootstrap)
        for k in range(features.shape[1])
    ]
    return SimilarityFigures(
        level=taxonomy.levels[-2],
        targets=tuple(class_name(item.target) for item in targets),
        left_out=len(means) - len(targets),
        layers=tuple(layers),
        deltas=tuple(cosines.deltas[:, -1].tolist()),
    )


def measure_separability(
    statements: Statements,
    states: torch.Tensor,
    settings: AnalysisParams,
    bootstrap: Bootstrap,
) -> SeparabilityFigures:
    """Tell true statements from false ones; states: [2, I, D], the true ones first."""
    values = states.double().numpy()
    plane = first_plane(values.reshape(-1, values.shape[2]))
    seed = derive_seed(bootstrap.seed, "separability")
    found = separate(values, statements, settings.separability, settings.permutations, seed)
    images = statements.images
    points = plane.points.reshape(2, len(images), 2)
    in_plane = separate(points, statements, settings.separability, 1, seed)
    classes = tuple(class_name(image.class_key) for image in images)
    true_points, false_points = (tuple(map(_pair, rows)) for rows in points)
    return SeparabilityFigures(
        accuracy=accuracy(found.is_right, 2 * classes, bootstrap),
        chance=found.chance,
        p=found.p,
        plane=accuracy(in_plane.is_right, 2 * classes, bootstrap),
        explained=plane.explained,
        left_out=statements.left_out,
        ids=tuple(image.id for image in images),
        classes=classes,
        is_right=found.is_right,
        true_points=true_points,
        false_points=false_points,
    )


def accuracy(is_right: Sequence[bool], classes: Sequence[str], bootstrap: Bootstrap) -> Accuracy:
    """The share that is right, with its interval when whole classes are resampled."""
    found = mean_interval([float(value) for value in is_right], classes, bootstrap)
    return Accuracy(found.value, found.low, found.high)


def _layer(
    congener: torch.Tensor,
    others: torch.Tensor,
    targets: Sequence[Target],
    settings: AnalysisParams,
    bootstrap: Bootstrap,
) -> LayerFigures:
    deltas = (congener - others).tolist()
    names = [class_name(item.target) for item in targets]
    interval = mean_interval(deltas, names, bootstrap)
    seed = derive_seed(bootstrap.seed, "similarity")
    test = paired_test(deltas, settings.permutations, seed)
    return LayerFigures(
        congener=float(congener.mean()),
        others=float(others.mean()),
        delta=interval.value,
        low=interval.low,
        high=interval.high,
        t=test.t,
        p=test.p,
        permutation_p=test.permutation_p,
    )


def _pair(row: np.ndarray) -> tuple[float, float]:
    return float(row[0]), float(row[1])
