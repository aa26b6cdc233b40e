import numpy as np
import pytest

from finer1.analysis.separability import arcs, choose_statements, first_plane, separate
from finer1.evaluation_params import SeparabilityParams
from finer1.records import ImageRecord


def settings(folds=5, ridge=0.1):
    return SeparabilityParams(
        images_per_class=2, statement="this is a {name}", folds=folds, ridge=ridge
    )


def image(number, label, category="bird"):
    return ImageRecord(
        f"d/{category}/{number}", "d", category, label, None, "0" * 64, "0" * 16, "test"
    )


def chosen(num_classes, images_each=4, folds=5):
    """Statements about so many classes."""
    labels = [f"bird {place}" for place in range(num_classes) for _ in range(images_each)]
    return choose_statements([image(n, label) for n, label in enumerate(labels)], folds, 0)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def spelled(statements, key_of):
    """[2, I, D]: a column for each of what `key_of` makes of the image's and the stated name."""
    named = [[item.label for item in statements.images], statements.false_names]
    keys = [
        [key_of(item.label, name) for item, name in zip(statements.images, names, strict=True)]
        for names in named
    ]
    columns = {key: place for place, key in enumerate(sorted({key for row in keys for key in row}))}
    return np.eye(len(columns))[[[columns[key] for key in row] for row in keys]]


def test_statements_that_lie_apart_are_all_told_apart():
    states = noise(2, 80, 5)
    states[0, :, 2] += 12
    found = separate(states, chosen(20), settings(), 99, 0)
    assert all(found.is_right)
    assert found.p == 1 / 100
    # Where labels mean nothing half are right; 20 classes of equal sign give a standard error of
    # 0.11 in a permutation, the mean of 99 one of 0.011.
    assert found.chance == pytest.approx(0.5, abs=0.04)


def test_a_weak_signal_is_found():
    states = noise(2, 80, 5)
    states[0, :, 2] += 2
    found = separate(states, chosen(20), settings(), 199, 0)
    # Two standard deviations apart: the best threshold is right in 84 %.
    assert np.mean(found.is_right) > 0.7
    assert found.p == 1 / 200


@pytest.mark.parametrize(
    "key_of", [lambda label, name: (label, name), lambda label, name: name], ids=["pair", "name"]
)
def test_who_knows_pairs_or_names_by_heart_is_at_chance(key_of):
    # The pair says all about a statement that was seen before, in another image of its class.
    statements = chosen(20)
    states = 5 * spelled(statements, key_of)
    told = [
        separate(states + 0.3 * noise(*states.shape, seed=seed), statements, settings(), 1, seed)
        for seed in range(20)
    ]
    # 400 classes of eight statements, all right or wrong at worst: the standard error is 0.025.
    assert np.mean([found.is_right for found in told]) == pytest.approx(0.5, abs=0.08)


def test_classes_that_differ_by_chance_are_no_signal():
    # All images of a class share its states, so that swaps of single images would find p too small.
    statements = chosen(20)
    ps = []
    for seed in range(40):
        states = noise(2, 20, 8, seed=seed).repeat(4, axis=1) + 0.2 * noise(2, 80, 8, seed=99)
        ps.append(separate(states, statements, settings(), 99, 0).p)
    # Were p uniform, 2 of the 40 would lie below 0.05, and more than 6 in 3 of 1,000 cases.
    assert sum(p < 0.05 for p in ps) <= 6


def test_an_arc_is_held_out_with_the_names_that_it_shares():
    statements = chosen(11, images_each=2)
    ring = [key[2] for key in statements.rings[0]]
    labels = np.array([item.label for item in statements.images])
    stated = [labels, np.array(statements.false_names)]
    folds = [*arcs(statements, 5)]
    assert np.sum([held for held, _ in folds], axis=0).tolist() == [1] * 22
    for held, kept in folds:
        names = [set(np.concatenate([row[side] for row in stated])) for side in (held, kept)]
        assert not names[0] & names[1]
        # Eleven classes in arcs of two or three, and one at either side of each.
        arc = len(set(labels[held]))
        assert arc in (2, 3)
        assert len(set(labels[kept])) == 11 - arc - 2
    first = set(labels[folds[0][0]])
    assert first == set(ring[:3])


def test_the_scores_are_those_of_ridge_regression():
    statements = chosen(6, images_each=1, folds=3)
    states = noise(2, 6, 3, seed=2)
    found = separate(states, statements, settings(folds=3, ridge=0.5), 1, 0)
    right = np.zeros((2, 6), dtype=bool)
    for held, kept in arcs(statements, 3):
        train = np.concatenate([states[0, kept], states[1, kept]])
        mean, spread = train.mean(axis=0), train.std(axis=0)
        rows, labels = (train - mean) / spread, np.array([1.0] * 2 + [-1.0] * 2)
        weights = np.linalg.solve(rows.T @ rows + 0.5 * 4 * np.eye(3), rows.T @ labels)
        scores = (states[:, held] - mean) / spread @ weights
        right[:, held] = np.stack([scores[0] > 0, scores[1] < 0])
    assert found.is_right == tuple(right.reshape(-1).tolist())


def test_equal_seeds_separate_equally():
    states, statements = noise(2, 40, 4), chosen(10)
    first = separate(states, statements, settings(), 50, 7)
    assert separate(states, statements, settings(), 50, 7) == first


def test_each_name_is_as_often_true_as_false():
    # Of five, three, four and two images two are taken of each.
    counts = {"wren": 5, "tern": 3, "gull": 4, "crake": 2}
    rows = [image(f"{label}{n}", label) for label in counts for n in range(counts[label])]
    statements = choose_statements(rows, 4, 0)
    labels = [item.label for item in statements.images]
    assert sorted(labels) == sorted(statements.false_names) == sorted(2 * [*counts])
    names = zip(labels, statements.false_names, strict=True)
    assert all(label != name for label, name in names)
    backwards = choose_statements(rows[::-1], 4, 0)
    assert set(zip(labels, statements.false_names, strict=True)) == {
        (item.label, name)
        for item, name in zip(backwards.images, backwards.false_names, strict=True)
    }


def test_a_category_too_small_for_arcs_is_left_out_and_counted():
    birds = [image(n, f"bird {n}") for n in range(4)]
    cars = [image(n, f"car {n}", "car") for n in range(3)]
    statements = choose_statements(birds + cars, 4, 0)
    assert {item.category for item in statements.images} == {"bird"}
    assert statements.left_out == 3


@pytest.mark.parametrize(("num_classes", "folds"), [(1, 5), (3, 5), (4, 2)])
def test_no_category_with_arcs_is_refused(num_classes, folds):
    with pytest.raises(ValueError, match="no category has sub-categories enough for . folds"):
        chosen(num_classes, folds=folds)


def test_the_plane_is_that_of_the_largest_spread():
    # Spread 5 along the third axis and 2 along the first, nothing along the second.
    rows = np.array([[0, 7, 5], [0, 7, -5], [2, 7, 0], [-2, 7, 0]], dtype=float)
    plane = first_plane(rows)
    assert plane.points[:, 0] == pytest.approx([5, -5, 0, 0])
    assert plane.points[:, 1] == pytest.approx([0, 0, 2, -2])
    # 50 of the 58 squared units, and 8.
    assert plane.explained == pytest.approx((50 / 58, 8 / 58))
