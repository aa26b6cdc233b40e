from itertools import combinations

import pytest

from finer1.world.taxonomy import (
    ATTRIBUTES,
    all_species,
    correctable_errors,
    distance,
    find_species,
    genera,
    genus_members,
    nearest,
    species_of,
)

CATEGORIES = tuple(ATTRIBUTES)


def test_there_are_72_classes_of_different_names():
    assert len({item.name for item in all_species()}) == 72


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_category_has_four_genera_of_six(category):
    assert [len(genus_members(genus)) for genus in genera(category)] == [6, 6, 6, 6]


@pytest.mark.parametrize("category", CATEGORIES)
def test_two_classes_of_a_category_differ_in_two_attributes_or_more(category):
    pairs = combinations(species_of(category), 2)
    assert min(distance(first.values, second.values) for first, second in pairs) == 2


def test_every_value_belongs_to_its_attribute():
    for item in all_species():
        for value, choices in zip(item.values, ATTRIBUTES[item.category].values(), strict=True):
            assert value in choices


def test_a_value_belongs_to_one_attribute_only():
    values = [v for table in ATTRIBUTES.values() for choices in table.values() for v in choices]
    assert len(set(values)) == len(values)


def test_every_class_has_a_correctable_error():
    for item in all_species():
        for wrong in correctable_errors(item.name):
            assert distance(wrong, item.values) == 1
            assert nearest(item.category, wrong) == (item,)
        assert correctable_errors(item.name)


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="no class of the embedded world"):
        find_species("Laysan Albatross")
