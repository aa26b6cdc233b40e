import numpy as np
import pytest

from finer1.analysis.separability import false_names, first_plane, separate
from finer1.evaluation_params import SeparabilityParams
from finer1.records import ImageRecord


def settings(folds=4, ridge=0.1):
    return SeparabilityParams(
        images_per_class=2, statement="this is a {name}", folds=folds, ridge=ridge
    )


def image(number, label, category="bird"):
    return ImageRecord(
        f"d/{category}/{number}", "d", category, label, None, "0" * 64, "0" * 16, "test"
    )


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def test_statements_that_lie_apart_are_all_told_apart():
    states = noise(2, 40, 5)
    states[0, :, 2] += 12
    found = separate(states, settings(), 99, 0)
    assert all(found.is_right)
    assert found.p == 1 / 100
    # Where labels mean nothing half are right; 0.1 is more than three standard errors.
    assert found.chance == pytest.approx(0.5, abs=0.1)


def test_noise_is_at_chance():
    found = separate(noise(2, 200, 5), settings(), 199, 0)
    # 400 statements: the standard error is 0.025.
    assert np.mean(found.is_right) == pytest.approx(0.5, abs=0.08)
    assert found.p > 0.01


def test_an_image_is_judged_by_a_classifier_that_has_not_seen_it():
    # Each image has a direction of its own, in which its true statement lies above its false one:
    # who has seen either in training is always right, who has not knows nothing.
    states = 5 * np.stack([np.eye(40), -np.eye(40)]) + noise(2, 40, 40)
    found = separate(states, settings(), 9, 0)
    # 80 statements: three standard errors above a half are 0.67.
    assert np.mean(found.is_right) < 0.67


def test_the_scores_are_those_of_ridge_regression():
    states = noise(2, 6, 3, seed=2)
    found = separate(states, settings(folds=2, ridge=0.5), 1, 0)
    fold_of = np.random.default_rng(0).permutation(6) % 2
    right = np.zeros((2, 6), dtype=bool)
    for fold in (0, 1):
        train = np.concatenate([states[0, fold_of != fold], states[1, fold_of != fold]])
        mean, spread = train.mean(axis=0), train.std(axis=0)
        rows, labels = (train - mean) / spread, np.array([1.0] * 3 + [-1.0] * 3)
        weights = np.linalg.solve(rows.T @ rows + 0.5 * 6 * np.eye(3), rows.T @ labels)
        scores = (states[:, fold_of == fold] - mean) / spread @ weights
        right[:, fold_of == fold] = np.stack([scores[0] > 0, scores[1] < 0])
    assert found.is_right == tuple(right.reshape(-1).tolist())


def test_equal_seeds_separate_equally():
    states = noise(2, 20, 4)
    assert separate(states, settings(), 50, 7) == separate(states, settings(), 50, 7)


def test_each_name_is_once_true_and_once_false():
    images = [image(n, label) for n, label in enumerate(("wren", "tern", "gull", "crake"))]
    names = false_names(images, 0)
    assert sorted(names) == sorted(item.label for item in images)
    assert all(name != item.label for name, item in zip(names, images, strict=True))
    assert false_names(images[::-1], 0) == names[::-1]


def test_a_false_name_is_of_the_same_category():
    birds = [image(n, label) for n, label in enumerate(("wren", "tern"))]
    cars = [image(n, label, "car") for n, label in enumerate(("lynx", "comet"))]
    assert false_names(birds + cars, 0) == ["tern", "wren", "comet", "lynx"]


def test_one_sub_category_has_no_false_name():
    with pytest.raises(ValueError, match="bird .d. has one sub-category alone"):
        false_names([image(0, "wren")], 0)


def test_the_plane_is_that_of_the_largest_spread():
    # Spread 5 along the third axis and 2 along the first, nothing along the second.
    rows = np.array([[0, 7, 5], [0, 7, -5], [2, 7, 0], [-2, 7, 0]], dtype=float)
    plane = first_plane(rows)
    assert plane.points[:, 0] == pytest.approx([5, -5, 0, 0])
    assert plane.points[:, 1] == pytest.approx([0, 0, 2, -2])
    # 50 of the 58 squared units, and 8.
    assert plane.explained == pytest.approx((50 / 58, 8 / 58))
