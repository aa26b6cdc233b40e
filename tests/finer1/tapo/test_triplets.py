import random

import pytest
import torch

from finer1.data_params import TripletsParams
from finer1.records import ImageRecord
from finer1.tapo.triplets import class_similarity, draw_images, mine_triplets

# Three sub-categories of one dataset along an arc, and one of another dataset in between.
CLASSES = {"robin": (1.0, 0.0), "wren": (0.8, 0.6), "finch": (0.0, 1.0)}


def record(label, number, dataset="bird", group=None, category="bird"):
    name = f"{dataset}/{category}/{label}{number}"
    return ImageRecord(name, dataset, category, label, group, "0" * 64, "0" * 16, "train")


def world(shots=2):
    images = [record(label, i) for label in CLASSES for i in range(shots)]
    points = [CLASSES[image.label] for image in images]
    images += [record("poodle", i, "dog") for i in range(2)]
    images += [record("beagle", i, "dog") for i in range(2)]
    points += [(0.99, 0.1)] * 2 + [(0.0, -1.0)] * 2
    return images, torch.tensor(points)


def mine(negative="nearest", seed=0, shots=2, rank=1, world=world):
    return mine_all(negative, seed, shots, rank, world).triplets


def mine_all(negative, seed=0, shots=2, rank=1, world=world):
    settings = TripletsParams(encoder="colour_texture", negative=negative, rank=rank)
    return mine_triplets(*world(shots), settings, "5" * 64, random.Random(seed))


def negatives(triplets):
    return {triplet.label: triplet.negative_label for triplet in triplets}


def test_the_negative_is_the_nearest_class_of_the_same_dataset():
    # Cosines: robin-wren 0.8, wren-finch 0.6, robin-finch 0; the poodle is nearer to the robin.
    assert negatives(mine()) == {
        "robin": "wren",
        "wren": "robin",
        "finch": "wren",
        "poodle": "beagle",
        "beagle": "poodle",
    }


def flat(shots):
    """Four sub-categories of one dataset at 0, 10, 30 and 60 degrees, in two groups."""
    angles = {"a": (0, "x"), "b": (10, "y"), "c": (30, "x"), "d": (60, "y")}
    images = [record(name, i, group=angles[name][1]) for name in angles for i in range(shots)]
    degrees = torch.tensor([float(angles[image.label][0]) for image in images]).deg2rad()
    return images, torch.stack([degrees.cos(), degrees.sin()], dim=1)


@pytest.mark.parametrize(("rank", "expected"), [(1, "bac"), (2, "ccb"), (3, "dda")])
def test_the_kth_nearest_can_be_chosen(rank, expected):
    # Degrees apart: a is 10 from b, 30 from c, 60 from d; b 10 from a, 20 from c, 50 from d;
    # d 30 from c, 50 from b, 60 from a.
    found = negatives(mine(rank=rank, world=flat))
    assert "".join(found[name] for name in "abd") == expected


def test_siblings_are_the_nearest_of_the_same_group():
    assert negatives(mine("siblings", world=flat)) == {"a": "c", "b": "d", "c": "a", "d": "b"}


def test_too_few_siblings_fall_back_to_all():
    # Each has one sibling; the second nearest is then one of all others, as without groups.
    found = negatives(mine("siblings", rank=2, world=flat))
    assert [found[name] for name in "abd"] == ["c", "c", "b"]


def test_too_few_siblings_are_counted_where_the_negative_is_chosen():
    # At rank 2 all lack siblings, though the second nearest of a (c) is of its group by chance.
    assert [key[2] for key in mine_all("siblings", rank=2, world=flat).too_few_siblings] == [
        *"abcd"
    ]
    assert mine_all("siblings", world=flat).too_few_siblings == ()
    assert mine_all("nearest", rank=2, world=flat).too_few_siblings == ()


def test_equally_near_classes_come_by_name_in_spite_of_rounding():
    # The last is nearer by 1e-9, as it may be on another machine.
    points = torch.tensor([(1.0, 0.0), (0.8, 0.6), (0.8 + 1e-9, -0.6)], dtype=torch.float64)
    images = [record(name, 0) for name in "abc"]
    found = negatives(mine(shots=1, world=lambda _: (images, points)))
    assert found["a"] == "b"


def test_unknown_groups_have_no_siblings():
    assert negatives(mine("siblings")) == negatives(mine())


def test_a_rank_beyond_the_classes_is_refused():
    with pytest.raises(ValueError, match=r"triplets\.rank: 4 .* a has 3 other .*lower it"):
        mine(rank=4, world=flat)


def test_the_negative_stays_in_the_category():
    def two(shots):
        images = [record(label, i) for label in ("robin", "finch") for i in range(shots)]
        images += [record(label, i, category="fish") for label in ("eel", "cod") for i in range(2)]
        points = [(1.0, 0.0)] * 2 + [(0.0, 1.0)] * 2 + [(1.0, 0.1)] * 2 + [(0.1, 1.0)] * 2
        return images, torch.tensor(points)

    assert negatives(mine(world=two)) == {
        "robin": "finch",
        "finch": "robin",
        "eel": "cod",
        "cod": "eel",
    }


def test_similarity_is_the_cosine_of_the_class_means():
    (robin, *_) = mine()
    assert robin.similarity == pytest.approx(0.8, abs=1e-6)


def test_long_embeddings_do_not_outweigh_others():
    images = [record("robin", 0), record("robin", 1)]
    # Unit vectors (1, 0) and (0, 1); without their scale 9 the mean lies at 45 degrees.
    found = class_similarity([*images, record("wren", 0)], torch.tensor([[9.0, 0], [0, 1], [1, 0]]))
    assert float(found.cosines[0, 1]) == pytest.approx(0.5**0.5)


def test_a_triplet_names_its_encoder():
    assert {(t.encoder, t.encoder_sha256) for t in mine()} == {("colour_texture", "5" * 64)}


def test_triplets_come_in_the_order_of_the_images():
    images, points = world()
    settings = TripletsParams(encoder="colour_texture", negative="nearest", rank=1)
    order = [3, 0, 5, 2, 1, 4, 9, 6, 8, 7]
    mined = mine_triplets(
        [images[i] for i in order], points[order], settings, "5" * 64, random.Random(0)
    )
    assert [t.anchor for t in mined.triplets] == [images[i].id for i in order]


def test_positives_are_the_other_images_of_the_sub_category():
    (robin, *_) = mine(shots=3)
    assert robin.anchor == "bird/bird/robin0"
    assert robin.positives == ("bird/bird/robin1", "bird/bird/robin2")
    assert robin.negatives == ("bird/bird/wren0", "bird/bird/wren1", "bird/bird/wren2")


def test_the_only_image_is_its_own_positive():
    (robin, *_) = mine(shots=1)
    assert robin.positives == (robin.anchor,) == ("bird/bird/robin0",)


def test_same_seed_same_random_negatives():
    assert mine("random", seed=1) == mine("random", seed=1)
    assert len({tuple(t.negative_label for t in mine("random", s)) for s in range(20)}) > 1


def test_a_random_negative_is_never_the_own_class():
    for seed in range(20):
        assert all(t.label != t.negative_label for t in mine("random", seed))


def test_a_single_sub_category_has_no_negative():
    with pytest.raises(ValueError, match="robin is the only seen sub-category"):
        mine(world=lambda shots: tuple(part[:2] for part in world(shots)))


def test_draws_come_from_the_triplet():
    triplet = mine(shots=3)[0]
    drawn = {draw_images(triplet, random.Random(seed)) for seed in range(60)}
    assert drawn == {(p, n) for p in triplet.positives for n in triplet.negatives}
