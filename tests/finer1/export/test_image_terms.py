from finer1.datasets.catalogue import WORLD
from finer1.export.image_terms import terms_of


def test_published_photographs_are_not_passed_on():
    for name in ("aircraft", "bird", "car", "dog", "flower", "pet"):
        assert not terms_of(name).may_be_passed_on


def test_what_is_drawn_and_what_is_ones_own_may_go():
    assert terms_of(WORLD).may_be_passed_on
    assert terms_of("shells").may_be_passed_on
