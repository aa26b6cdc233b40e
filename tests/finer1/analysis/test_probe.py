import pytest
import torch

from finer1.analysis.probe import ProbeImages, number_classes, train_probe
from finer1.evaluation_params import ProbeParams


def settings(epochs=30, lr=0.05):
    return ProbeParams(
        epochs=epochs, lr=lr, batch_size=30, images_per_class=None, validation_fraction=0.2
    )


def clouds(seed, shuffled=False):
    """30 images of each of three classes, around corners that are 6 standard deviations apart."""
    noise = torch.Generator().manual_seed(seed)
    classes = torch.arange(3).repeat_interleave(30)
    features = 6 * torch.eye(3)[classes] + torch.randn(90, 3, generator=noise)
    order = torch.randperm(90, generator=noise) if shuffled else torch.arange(90)
    return ProbeImages(features, classes[order])


def share(choice):
    return sum(choice.is_right) / len(choice.is_right)


def test_separable_classes_are_all_told_apart():
    found = train_probe(clouds(0), clouds(1), clouds(2), settings(), 0)
    assert share(found.last) == share(found.best_on_validation) == 1.0


def test_shuffled_classes_are_at_chance():
    sides = [clouds(seed, shuffled=True) for seed in (0, 1, 2)]
    found = train_probe(*sides, settings(), 0)
    # Chance is 1/3; 0.15 is three standard errors of 90 images.
    assert share(found.last) == pytest.approx(1 / 3, abs=0.15)
    # Chosen by the test images themselves it can only look better.
    assert share(found.best_on_test) >= max(share(found.last), share(found.best_on_validation))


def test_each_rule_says_its_epoch():
    found = train_probe(clouds(0), clouds(1), clouds(2), settings(epochs=20), 0)
    assert found.last.epoch == 20
    assert 1 <= found.best_on_validation.epoch <= 20
    # All are right long before the end, and the first such epoch is taken.
    assert found.best_on_test.epoch < 20


def test_a_learning_rate_of_almost_nothing_changes_no_answer():
    sides = (clouds(0), clouds(1), clouds(2))
    one = train_probe(*sides, settings(epochs=1, lr=1e-9), 0)
    assert train_probe(*sides, settings(epochs=5, lr=1e-9), 0).last.is_right == one.last.is_right


def test_equal_seeds_give_equal_probes():
    sides = (clouds(0), clouds(1, shuffled=True), clouds(2))
    first = train_probe(*sides, settings(epochs=3), 5)
    assert train_probe(*sides, settings(epochs=3), 5) == first
    torch.manual_seed(99)  # the global generator plays no part
    assert train_probe(*sides, settings(epochs=3), 5) == first


def test_classes_are_numbered_in_order():
    known = [("d", "bird", "wren"), ("d", "bird", "tern"), ("d", "bird", "wren")]
    assert number_classes(known, known).tolist() == [1, 0, 1]
