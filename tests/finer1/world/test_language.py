import numpy as np
import pytest

from finer1 import prompts
from finer1.world import language
from finer1.world.taxonomies import load_taxonomy
from finer1.world.taxonomy import distance

WORLD = load_taxonomy("embedded")
LARGE = load_taxonomy("large_0")
WREN = WORLD.find("elm wren")


@pytest.mark.parametrize("species", WORLD.species, ids=lambda item: item.name)
def test_a_gold_rationale_parses_and_answers(species):
    options = language.choose_options(WORLD, species, species.values)
    text = language.rationale_text(species.values, options, species)
    completion = prompts.parse_completion(text)
    assert completion.is_sectioned
    assert completion.answer == completion.sections["prediction"] == species.name
    assert prompts.split_options(completion.sections["options"]) == tuple(o.name for o in options)


def test_options_are_the_truth_and_three_nearest():
    options = language.choose_options(WORLD, WREN, WREN.values)
    assert WREN in options
    others = [item for item in WORLD.by_category["bird"] if item not in options]
    reach = max(distance(item.values, WREN.values) for item in options)
    assert len(set(options)) == language.MAX_OPTIONS
    assert min(distance(item.values, WREN.values) for item in others) >= reach


def test_the_truth_stands_at_every_place_of_the_options():
    places = [
        language.choose_options(WORLD, item, item.values).index(item) for item in WORLD.species
    ]
    # Of 72, 18 at each place were it by chance; standard deviation 3.7.
    assert min(places.count(place) for place in range(4)) >= 8


def test_observed_attributes_always_lead_to_the_truth():
    rng = np.random.default_rng(0)
    observed = [language.observe(WORLD, WREN, rng) for _ in range(50)]
    assert any(values != WREN.values for values in observed)
    assert all(WORLD.nearest(WREN.category, values) == (WREN,) for values in observed)


@pytest.mark.parametrize("world", [WORLD, LARGE], ids=lambda world: world.name)
def test_every_reasoning_exercise_is_a_parsable_rationale(world):
    rng = np.random.default_rng(0)
    for _ in range(200):
        item = language.reasoning_exercise(world, rng)
        assert prompts.parse_completion(item.given + item.target).is_sectioned


def test_a_rationale_never_follows_one_of_the_ten_questions():
    rng = np.random.default_rng(0)
    starts = {prompts.question(c, k) for c in ("bird", "car", "fish") for k in range(10)}
    for _ in range(200):
        assert language.reasoning_exercise(WORLD, rng).user.splitlines()[0] not in starts


def test_open_questions_are_answered_within_the_genus():
    rng = np.random.default_rng(0)
    answers = [
        prompts.parse_completion(language.image_open(WORLD, WREN, 0, rng).target).answer
        for _ in range(300)
    ]
    assert all(answer.endswith("wren") for answer in answers)
    # 300 draws of p = .3: standard deviation .026, so .2 to .4 is nearly four of them.
    assert 0.2 < np.mean([answer == "a kind of wren" for answer in answers]) < 0.4
