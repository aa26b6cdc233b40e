from types import SimpleNamespace

import pytest

from finer1.policy.image_bounds import bound_images


def processor(**size):
    return SimpleNamespace(image_processor=SimpleNamespace(size=size))


def test_a_bound_that_is_null_stays():
    bounded = processor(shortest_edge=4, longest_edge=9)
    bound_images(bounded, None, 8)
    assert bounded.image_processor.size == {"shortest_edge": 4, "longest_edge": 8}


@pytest.mark.parametrize("size", [{"height": 448, "width": 448}, {"shortest_edge": 384}])
def test_a_size_that_is_not_in_pixels_is_refused(size):
    # InternVL's, and that of older LLaVA processors.
    with pytest.raises(ValueError, match=r"set sft\.min_pixels and sft\.max_pixels to null"):
        bound_images(processor(**size), 4, None)


def test_without_bounds_any_size_does():
    bound_images(processor(height=448, width=448), None, None)
