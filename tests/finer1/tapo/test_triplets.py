import random

import pytest
import torch

from finer1.records import ImageRecord
from finer1.tapo.triplets import draw_images, mine_triplets

# Three sub-categories of one dataset along an arc, and one of another dataset in between.
CLASSES = {"robin": (1.0, 0.0), "wren": (0.8, 0.6), "finch": (0.0, 1.0)}


def record(label, number, dataset="bird"):
    name = f"{dataset}/{label}{number}"
    return ImageRecord(name, dataset, "bird", label, None, name, "0" * 64, "train")


def world(shots=2):
    images = [record(label, i) for label in CLASSES for i in range(shots)]
    points = [CLASSES[image.label] for image in images]
    images += [record("poodle", i, "dog") for i in range(2)]
    images += [record("beagle", i, "dog") for i in range(2)]
    points += [(0.99, 0.1)] * 2 + [(0.0, -1.0)] * 2
    return images, torch.tensor(points)


def mine(negative="nearest", seed=0, shots=2):
    return mine_triplets(*world(shots), negative, random.Random(seed))


def test_the_negative_is_the_nearest_class_of_the_same_dataset():
    nearest = {triplet.label: triplet.negative_label for triplet in mine()}
    # Cosines: robin-wren 0.8, wren-finch 0.6, robin-finch 0; the poodle is nearer to the robin.
    assert nearest == {
        "robin": "wren",
        "wren": "robin",
        "finch": "wren",
        "poodle": "beagle",
        "beagle": "poodle",
    }


def test_similarity_is_the_cosine_of_the_class_means():
    (robin, *_) = mine()
    assert robin.similarity == pytest.approx(0.8, abs=1e-6)


def test_positives_are_the_other_images_of_the_sub_category():
    (robin, *_) = mine(shots=3)
    assert robin.anchor == "bird/robin0"
    assert robin.positives == ("bird/robin1", "bird/robin2")
    assert robin.negatives == ("bird/wren0", "bird/wren1", "bird/wren2")


def test_same_seed_same_random_negatives():
    assert mine("random", seed=1) == mine("random", seed=1)
    assert len({tuple(t.negative_label for t in mine("random", s)) for s in range(20)}) > 1


def test_a_random_negative_is_never_the_own_class():
    for seed in range(20):
        assert all(t.label != t.negative_label for t in mine("random", seed))


def test_a_single_image_has_no_positive():
    images, points = world()
    with pytest.raises(ValueError, match="robin has one training image"):
        mine_triplets(images[1:], points[1:], "nearest", random.Random(0))


def test_a_single_sub_category_has_no_negative():
    images, points = world()
    with pytest.raises(ValueError, match="robin is the only sub-category"):
        mine_triplets(images[:2], points[:2], "nearest", random.Random(0))


def test_draws_come_from_the_triplet():
    triplet = mine(shots=3)[0]
    drawn = {draw_images(triplet, random.Random(seed)) for seed in range(60)}
    assert drawn == {(p, n) for p in triplet.positives for n in triplet.negatives}
