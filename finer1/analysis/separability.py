"""How well true names can be told from false ones by the last hidden state (Figure 4 of Fine-R1).

The paper shows a picture. Beside it stands a number: how often a linear classifier is right that
has seen neither the image nor its statements, and how often it would be if the labels meant
nothing.

Shape letters: I images, N = 2 I statements, D hidden size, F folds, R permutations.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from finer1.draws import draw
from finer1.evaluation_params import SeparabilityParams
from finer1.records import ImageRecord

Matrix = NDArray[np.float64]
_CHUNK = 500
"""Permutations that are held at once."""


@dataclass(frozen=True)
class Separated:
    """A cross-validated linear classifier."""

    is_right: tuple[bool, ...]
    """Of each statement, by the classifier that has not seen its image."""
    chance: float
    """Mean accuracy where labels are swapped within images by chance."""
    p: float
    """Share of the swaps that do as well."""


@dataclass(frozen=True)
class Plane:
    """The first two principal components."""

    points: Matrix
    """[N, 2]"""
    explained: tuple[float, float]
    """Share of the variance of each."""


def false_names(images: Sequence[ImageRecord], seed: int) -> list[str]:
    """A false name for each image: another sub-category of its category.

    In a ring through the category, drawn by seed: each name is the false one of one sub-category
    and the true one of one, so that a name alone tells nothing. Raises ValueError for a category
    with one sub-category.
    """
    rings: dict[tuple[str, str], set[str]] = defaultdict(set)
    for image in images:
        rings[image.dataset, image.category].add(image.label)
    following: dict[tuple[str, str, str], str] = {}
    for (dataset, category), labels in rings.items():
        if len(labels) < 2:
            raise ValueError(
                f"analysis.separability: {category} ({dataset}) has one sub-category alone, so "
                "that there is no false name; leave its dataset out"
            )
        ring = sorted(labels, key=lambda label: draw(seed, "false name", dataset, category, label))
        for place, label in enumerate(ring):
            following[dataset, category, label] = ring[place - 1]
    return [following[image.class_key] for image in images]


def first_plane(states: Matrix) -> Plane:
    """Principal components of [N, D] states; the signs are fixed, so equal states look equal."""
    centred = states - states.mean(axis=0)
    _, lengths, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes[:2]
    largest = np.abs(axes).argmax(axis=1)
    axes = axes * np.sign(axes[np.arange(len(axes)), largest])[:, None]
    shares = lengths**2 / max(float((lengths**2).sum()), 1e-30)
    return Plane(centred @ axes.T, (float(shares[0]), float(shares[1])))


def separate(
    states: Matrix, settings: SeparabilityParams, permutations: int, seed: int
) -> Separated:
    """Cross-validate ridge regression on labels of 1 (true) and -1 (false).

    states: [2, I, D]: first the true statements, then the false ones about the same images. An
    image is in one fold with both. Features are standardized by the training folds; the penalty
    is `ridge` per training row. permutations: of the labels, swapped within images.
    """
    num_images = states.shape[1]
    generator = np.random.default_rng(seed)
    fold_of = generator.permutation(num_images) % settings.folds
    truth = np.ones(num_images)
    scores = np.zeros((2, num_images))
    swaps = generator.choice((-1.0, 1.0), size=(num_images, permutations))
    hits = np.zeros(permutations)
    for fold in range(settings.folds):
        held, kept = fold_of == fold, fold_of != fold
        left, right = _solver(states, kept, held, settings.ridge)
        scores[:, held] = _scores(left, right, truth[kept, None])[:, :, 0]
        for start in range(0, permutations, _CHUNK):
            chunk = swaps[:, start : start + _CHUNK]
            found = _scores(left, right, chunk[kept])
            signs = np.stack([chunk[held], -chunk[held]])
            hits[start : start + _CHUNK] += (found * signs > 0).sum(axis=(0, 1))
    is_right = np.concatenate([scores[0] > 0, scores[1] < 0])
    reached = hits / (2 * num_images)
    p = (1 + int((reached >= is_right.mean() - 1e-12).sum())) / (1 + permutations)
    return Separated(tuple(is_right.tolist()), float(reached.mean()), p)


def _solver(
    states: Matrix, kept: NDArray[np.bool_], held: NDArray[np.bool_], ridge: float
) -> tuple[Matrix, Matrix]:
    """Two factors whose product takes training labels to scores: [2, held, r] and [r, 2 kept].

    Both labels have as many rows, so that no intercept is needed once features are centred.
    """
    train = states[:, kept].reshape(-1, states.shape[2])
    mean, spread = train.mean(axis=0), train.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    rows, lengths, axes = np.linalg.svd((train - mean) / spread, full_matrices=False)
    gains = lengths / (lengths**2 + ridge * len(train))
    return (states[:, held] - mean) / spread @ axes.T * gains, rows.T


def _scores(left: Matrix, right: Matrix, signs: Matrix) -> Matrix:
    """[2, held, R] scores of held statements; signs: [kept, R], 1 where the label is as it is."""
    return np.asarray(left @ (right @ np.concatenate([signs, -signs])))
