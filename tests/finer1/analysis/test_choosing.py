from dataclasses import replace

import pytest

from finer1.analysis.choosing import choose_test_images, probe_sides
from finer1.evaluation_params import ProbeParams
from finer1.records import ImageRecord


def settings(limit=None, fraction=0.25):
    return ProbeParams(
        epochs=1, lr=0.1, batch_size=1, images_per_class=limit, validation_fraction=fraction
    )


def images(**counts):
    """So many images of one class of each side."""
    return [
        ImageRecord(f"d/{side}/{n}", "d", "bird", "wren", None, "0" * 64, "0" * 16, side)
        for side, count in counts.items()
        for n in range(count)
    ]


def sizes(sides):
    return len(sides.train), len(sides.validation), len(sides.test)


def test_a_datasets_own_validation_side_is_used():
    assert sizes(probe_sides(images(train=8, validation=3, test=2), settings(), 0)) == (8, 3, 2)


def test_without_one_a_share_of_the_training_images_is_kept():
    sides = probe_sides(images(train=8, test=2), settings(), 0)
    assert sizes(sides) == (6, 2, 2)
    assert not {image.id for image in sides.train} & {image.id for image in sides.validation}


def test_the_only_training_image_trains():
    more = [replace(item, id=f"{item.id}b", label="tern") for item in images(train=2)]
    assert sizes(probe_sides(images(train=1, test=1) + more, settings(fraction=0.9), 0)) == (
        2,
        1,
        1,
    )


def test_a_class_without_a_training_image_is_left_out_and_counted():
    more = [replace(item, id=f"{item.id}b", label="tern") for item in images(test=2)]
    more += [replace(item, id=f"{item.id}c", label="gull") for item in images(validation=1)]
    sides = probe_sides(images(train=8, validation=3, test=2) + more, settings(), 0)
    assert sizes(sides) == (8, 3, 2)
    assert sides.left_out == 1  # the tern; the gull has no test image


def test_no_class_with_training_and_test_images_is_refused():
    with pytest.raises(ValueError, match="no sub-category has both a training and a test image"):
        probe_sides(images(validation=3, test=2), settings(), 0)


def test_no_validation_image_at_all_is_refused():
    with pytest.raises(ValueError, match="no image for validation; add a second training image"):
        probe_sides(images(train=1, test=1), settings(), 0)


def test_a_limit_holds_on_every_side():
    assert sizes(probe_sides(images(train=8, validation=3, test=5), settings(2), 0)) == (2, 2, 2)


def test_the_choice_depends_on_the_images_and_not_on_their_order():
    rows = images(test=9)
    first = choose_test_images(rows, 3, 4)
    assert choose_test_images(rows[::-1], 3, 4) == first
    assert choose_test_images(rows, 3, 5) != first
