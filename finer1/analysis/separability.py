"""How well true names can be told from false ones by the last hidden state (Figure 4 of Fine-R1).

The paper shows a picture. Beside it stands a number: how often a linear classifier is right about
sub-categories of which it has seen neither an image nor a name, and how often it would be if the
labels meant nothing.

A category's sub-categories stand in a ring, in an order drawn by seed. The false name of each is
that of the one before it: so every name is as often true as false, and a name alone tells nothing.
A pair of sub-category and name does tell, and recurs with each image; so whole sub-categories are
held out, arcs of the ring, and the two beside an arc, which share a name with it, do not train
either.

Shape letters: I images, N = 2 I statements, D hidden size, C sub-categories, F folds,
R permutations.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from finer1.draws import draw
from finer1.evaluation_params import SeparabilityParams
from finer1.records import ClassKey, ImageRecord

Matrix = NDArray[np.float64]
Mask = NDArray[np.bool_]
Ring = tuple[ClassKey, ...]
_CHUNK = 500
"""Permutations that are held at once."""


@dataclass(frozen=True)
class Statements:
    """The images that are named truly and falsely."""

    images: tuple[ImageRecord, ...]
    """Equally many of each sub-category of a category."""
    false_names: tuple[str, ...]
    """Of each image."""
    rings: tuple[Ring, ...]
    """The categories; each sub-category has the one before it, of the first the last, as its false
    name."""
    left_out: int
    """Sub-categories of categories that have too few for arcs."""


@dataclass(frozen=True)
class Separated:
    """A cross-validated linear classifier."""

    is_right: tuple[bool, ...]
    """Of each statement, by the classifier that has seen neither its sub-category nor its name."""
    chance: float
    """Mean accuracy where labels are swapped within whole sub-categories by chance."""
    p: float
    """Share of the swaps that do as well."""


@dataclass(frozen=True)
class Plane:
    """The first two principal components."""

    points: Matrix
    """[N, 2]"""
    explained: tuple[float, float]
    """Share of the variance of each."""


def choose_statements(images: Sequence[ImageRecord], folds: int, seed: int) -> Statements:
    """The first images of each sub-category, as many as the category's poorest has, with names.

    Raises ValueError when no category has sub-categories enough for arcs.
    """
    counts = Counter(image.class_key for image in images)
    members: dict[tuple[str, str], list[ClassKey]] = defaultdict(list)
    for key in sorted(counts, key=lambda key: draw(seed, "false name", *key)):
        members[key[:2]].append(key)
    rings = tuple(tuple(ring) for ring in members.values() if _has_arcs(len(ring), folds))
    if not rings:
        raise ValueError(
            f"analysis.separability: no category has sub-categories enough for {folds} folds; four "
            "and as many folds are the least, so raise analysis.separability.folds or add some"
        )
    room = {key: min(counts[other] for other in ring) for ring in rings for key in ring}
    before = {key: ring[place - 1] for ring in rings for place, key in enumerate(ring)}
    taken, chosen = Counter[ClassKey](), []
    for image in images:
        key = image.class_key
        if taken[key] < room.get(key, 0):
            taken[key] += 1
            chosen.append(image)
    names = tuple(before[image.class_key][2] for image in chosen)
    return Statements(tuple(chosen), names, rings, len(counts) - len(before))


def _has_arcs(num_classes: int, folds: int) -> bool:
    """Whether one class trains at least, besides the longest arc and the two beside it."""
    longest = -(-num_classes // min(folds, num_classes))
    return num_classes - longest - 2 >= 1


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
    states: Matrix,
    statements: Statements,
    settings: SeparabilityParams,
    permutations: int,
    seed: int,
) -> Separated:
    """Cross-validate ridge regression on labels of 1 (true) and -1 (false).

    states: [2, I, D]: first the true statements, then the false ones about the same images. Arcs
    of sub-categories are held out. Features are standardized by the training folds; the penalty
    is `ridge` per training row. permutations: of the labels, swapped within whole sub-categories,
    in which the truth is the same for all images.
    """
    num_images = states.shape[1]
    generator = np.random.default_rng(seed)
    places = {key: place for place, key in enumerate(sum(statements.rings, ()))}
    class_of = [places[image.class_key] for image in statements.images]
    truth = np.ones(num_images)
    scores = np.zeros((2, num_images))
    swaps = generator.choice((-1.0, 1.0), size=(len(places), permutations))[class_of]
    hits = np.zeros(permutations)
    for held, kept in arcs(statements, settings.folds):
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


def arcs(statements: Statements, folds: int) -> Iterator[tuple[Mask, Mask]]:
    """Images [I] that a fold holds out, and those that it trains on.

    A fold holds an arc of each ring; a category of fewer sub-categories than folds has arcs of one.
    """
    keys = [image.class_key for image in statements.images]
    for fold in range(min(folds, max(map(len, statements.rings)))):
        held: set[ClassKey] = set()
        beside: set[ClassKey] = set()
        for ring in statements.rings:
            count = min(folds, len(ring))
            arc = [place for place in range(len(ring)) if place * count // len(ring) == fold]
            if arc:
                held |= {ring[place] for place in arc}
                beside |= {ring[arc[0] - 1], ring[(arc[-1] + 1) % len(ring)]}
        yield (
            np.array([key in held for key in keys]),
            np.array([key not in held | beside for key in keys]),
        )


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
