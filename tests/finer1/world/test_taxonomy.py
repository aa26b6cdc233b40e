from itertools import combinations

import pytest

from finer1.world.taxonomies import load_taxonomy
from finer1.world.taxonomy import ATTRIBUTES, Taxonomy, distance
from finer1.world.vocabulary import vocabulary

CATEGORIES = tuple(ATTRIBUTES)
EMBEDDED = load_taxonomy("embedded")
LARGE = load_taxonomy("large_0")
TWINS = load_taxonomy("twins_0")

every = pytest.mark.parametrize("world", [EMBEDDED, LARGE, TWINS], ids=lambda world: world.name)


@pytest.mark.parametrize(("world", "classes"), [(EMBEDDED, 72), (LARGE, 378), (TWINS, 72)])
def test_classes_have_names_and_values_of_their_own(world, classes):
    assert len(world.species) == classes
    assert len({item.name for item in world.species}) == classes
    assert len({item.values for item in world.species}) == classes


def test_the_embedded_taxonomy_is_that_of_the_committed_base(repository):
    card = (repository / "models/base/world/README.md").read_text(encoding="utf-8")
    assert f"`{EMBEDDED.hash}`" in card


@pytest.mark.parametrize("world", [EMBEDDED, TWINS], ids=lambda world: world.name)
@pytest.mark.parametrize("category", CATEGORIES)
def test_a_category_of_24_has_four_genera_of_six(world, category):
    sizes = [len(world.by_genus[genus]) for genus in world.genera[category]]
    assert sizes == [6, 6, 6, 6]


@every
@pytest.mark.parametrize("category", CATEGORIES)
def test_a_genus_shares_its_first_attribute(world, category):
    first = [{item.values[0] for item in world.by_genus[genus]} for genus in world.genera[category]]
    assert first == [{value} for value in next(iter(ATTRIBUTES[category].values()))]


@pytest.mark.parametrize("category", CATEGORIES)
def test_two_embedded_classes_differ_in_two_attributes_or_more(category):
    pairs = combinations(EMBEDDED.by_category[category], 2)
    assert min(distance(first.values, second.values) for first, second in pairs) == 2


def test_most_classes_of_a_large_world_have_a_sibling_one_attribute_away():
    lonely = [
        item.name
        for item in LARGE.species
        if not any(
            distance(item.values, other.values) == 1 for other in LARGE.by_category[item.category]
        )
    ]
    # 126 of 324 combinations are taken; the 11 neighbours of one are all free at a chance of .4 %.
    assert len(lonely) <= 8


def test_a_twin_is_one_attribute_away_in_its_genus_and_everyone_else_two_or_more():
    for item in TWINS.species:
        others = [other for other in TWINS.by_category[item.category] if other != item]
        near = [other for other in others if distance(item.values, other.values) == 1]
        assert [other.genus for other in near] == [item.genus]


def test_twins_bear_the_words_of_the_committed_base():
    assert vocabulary(TWINS) == vocabulary(EMBEDDED)


@pytest.mark.parametrize("kind", ["large", "twins"])
def test_the_same_seed_draws_the_same_table_and_another_seed_another(kind):
    load_taxonomy.cache_clear()
    first, other = load_taxonomy(f"{kind}_3").table, load_taxonomy(f"{kind}_4").table
    load_taxonomy.cache_clear()
    assert load_taxonomy(f"{kind}_3").table == first != other


@every
def test_every_value_belongs_to_its_attribute(world):
    for item in world.species:
        for value, choices in zip(item.values, ATTRIBUTES[item.category].values(), strict=True):
            assert value in choices


def test_a_value_belongs_to_one_attribute_only():
    values = [v for table in ATTRIBUTES.values() for choices in table.values() for v in choices]
    assert len(set(values)) == len(values)


def test_every_embedded_class_has_a_correctable_error():
    for item in EMBEDDED.species:
        for wrong in EMBEDDED.correctable_errors[item.name]:
            assert distance(wrong, item.values) == 1
            assert EMBEDDED.nearest(item.category, wrong) == (item,)
        assert EMBEDDED.correctable_errors[item.name]


def test_a_misread_attribute_between_two_classes_is_not_correctable():
    table = "bird | elm wren | blue long single forked plain\n"
    table += "bird | yew wren | blue short single forked plain\n"
    world = Taxonomy("two", table)
    # A hooked beak is one step from both.
    wrong = ("blue", "hooked", "single", "forked", "plain")
    assert world.nearest("bird", wrong) == world.species
    assert wrong not in world.correctable_errors["elm wren"]


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="no class of the drawn world embedded"):
        EMBEDDED.find("Laysan Albatross")


@pytest.mark.parametrize("name", ["large", "large_", "twins_-1", "huge_0"])
def test_an_unknown_taxonomy_is_refused(name):
    with pytest.raises(ValueError, match="write embedded, or large_<seed> or twins_<seed>"):
        load_taxonomy(name)
