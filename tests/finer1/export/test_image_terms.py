from finer1.datasets.catalogue import WORLD
from finer1.export.image_terms import is_own, terms_of


def test_published_photographs_are_not_passed_on():
    for name in ("aircraft", "bird", "car", "dog", "flower", "pet"):
        assert not terms_of(name).may_be_passed_on


def test_what_is_drawn_may_go_and_of_ones_own_the_owner_decides():
    assert terms_of(WORLD).may_be_passed_on
    assert not is_own(WORLD)
    assert not terms_of("shells").may_be_passed_on
    assert is_own("shells")
