import math

import pytest

from finer1.reference.classes import released_classes

NUM_CLASSES = {"aircraft": 100, "bird": 200, "car": 196, "dog": 120, "flower": 102, "pet": 37}


@pytest.mark.parametrize("dataset", NUM_CLASSES)
def test_seen_are_three_fifths_rounded_down(dataset):
    seen = released_classes(dataset)
    assert len(seen) == NUM_CLASSES[dataset]
    assert sum(seen.values()) == math.floor(len(seen) * 6 / 10)


def test_dataset_without_a_list_has_no_classes():
    assert released_classes("world") == {}
