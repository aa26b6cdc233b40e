from dataclasses import replace

import pytest

from finer1.records import ImageRecord, SplitRecord
from finer1.splits import shot_order
from finer1.teacher.shots import first_shots, free_images, next_image, take_turns

KEY = ("d", "bird", "elm wren")


def image(label, number, official="train", **changes):
    name = f"d/{label}/{number}"
    record = ImageRecord(
        id=name,
        dataset="d",
        category="bird",
        label=label,
        group=None,
        sha256=name,
        phash="0" * 16,
        official=official,
    )
    return replace(record, **changes)


@pytest.fixture
def splits():
    """Of elm wren an image per part; reed tern is unseen."""
    parts = ("sft", "sft", "tapo", "validation", "test")
    rows = [SplitRecord(image("elm wren", i), True, part) for i, part in enumerate(parts)]
    return [*rows, SplitRecord(image("reed tern", 0, "test"), False, "test")]


def test_turns_take_one_image_of_each_class_a_round():
    images = [
        image(label, i) for label, count in (("a", 3), ("b", 1), ("c", 2)) for i in range(count)
    ]
    labels = [item.label for item in take_turns(images, seed=0)]
    assert sorted(labels[:3]) == ["a", "b", "c"]
    assert sorted(labels[3:5]) == ["a", "c"]
    assert labels[5:] == ["a"]


def test_turns_of_fewer_shots_come_first_among_those_of_more():
    images = [image(label, i) for label in "abc" for i in range(4)]
    first = [item for label in "abc" for item in shot_order(images[:], 0) if item.label == label][
        ::4
    ]
    assert {item.id for item in take_turns(images, 0)[:3]} == {item.id for item in first}


def test_free_are_sft_images_and_training_images_without_a_part(splits):
    index = [row.image for row in splits]
    index += [
        image("elm wren", 7),
        image("elm wren", 8, "test"),
        image("elm wren", 9, "validation"),
        image("elm wren", 10, sha256="d/elm wren/4"),
        image("reed tern", 1),
    ]
    free = free_images(index, splits, seed=0)
    assert list(free) == [KEY]
    assert {item.id for item in free[KEY]} == {f"d/elm wren/{i}" for i in (0, 1, 7)}


def test_next_image_is_the_first_that_is_not_used():
    free = {KEY: [image("elm wren", 0), image("elm wren", 1)]}
    assert next_image(free, KEY, {"d/elm wren/0"}) == image("elm wren", 1)
    assert next_image(free, KEY, {"d/elm wren/0", "d/elm wren/1"}) is None
    assert next_image(free, ("d", "bird", "oak wren"), set()) is None


def test_the_first_shots_of_each_class_keep_their_order():
    images = [image(label, i) for i in range(4) for label in "ab"]
    chosen = first_shots(images, 2, seed=0)
    assert chosen == [item for item in images if item in chosen]
    for label in "ab":
        own = shot_order([item for item in images if item.label == label], 0)
        assert {item.id for item in chosen if item.label == label} == {i.id for i in own[:2]}
    assert first_shots(images, None, 0) == first_shots(images, 9, 0) == images
