from pathlib import Path

import pytest

from finer1.params import load_params
from finer1.records import ImageRecord
from finer1.teacher.captions import Described, candidate_concepts, select_for_images
from finer1.teacher.encoders import load_encoder


@pytest.fixture
def settings(repository):
    return load_params(repository / "params.yaml").concepts.model_copy(update={"min_concepts": 1})


def described(label, *captions, category="bird"):
    image = ImageRecord(
        id=f"{category}/{label}",
        dataset=category,
        category=category,
        label=label,
        group=None,
        phash="0" * 16,
        sha256=label,
        official="train",
    )
    return Described(image, captions)


ITEMS = [
    described("Grebe", "a slim bird with red eyes", "a bird with red eyes"),
    described("Crow", "a slim bird with black feathers", "a bird with black feathers"),
]


def select(settings, items=ITEMS, lists=None, seed=0):
    encoder = load_encoder("char_ngrams", Path(), "cpu")
    candidates = candidate_concepts(items, lists or {}, settings)
    return select_for_images(items, candidates, encoder, settings, seed)


@pytest.fixture
def by_phrases(settings):
    """Candidates are the phrases of the captions."""
    return settings.model_copy(update={"candidates": "captions"})


def test_feature_of_the_class_wins_over_what_all_share(settings):
    lists = {("bird", "Grebe"): "a bird\nred eyes", ("bird", "Crow"): "a bird\nblack feathers"}
    rows = select(settings, lists=lists)
    assert [row.concepts for row in rows] == [("red eyes",), ("black feathers",)]


def test_phrases_of_captions_can_be_the_candidates(by_phrases):
    rows = select(by_phrases)
    assert [row.concepts[0] for row in rows] == ["red eyes", "black feathers"]


def test_captions_of_the_own_class_are_no_negatives(by_phrases):
    twin = Described(ITEMS[0].image, ("a bird with red eyes",))
    alone = select(by_phrases)[0]
    assert select(by_phrases, [*ITEMS, twin])[0] == alone


def test_class_under_another_category_is_no_negative(by_phrases):
    settings = by_phrases.model_copy(update={"negatives": "any"})
    pet = described("grebe", "a pet with red eyes", category="pet")
    assert select(settings, [*ITEMS, pet])[0] == select(settings)[0]


@pytest.mark.parametrize(("negatives", "is_changed"), [("category", False), ("any", True)])
def test_negatives_are_of_the_category_or_of_all(by_phrases, negatives, is_changed):
    settings = by_phrases.model_copy(update={"negatives": negatives})
    car = described("Lynx", "a car with red lights", category="car")
    assert (select(settings, [*ITEMS, car])[0] != select(settings)[0]) == is_changed


def test_image_with_nothing_to_be_told_from_keeps_the_least_number(by_phrases):
    # Without negatives every score is 0, none above the mean.
    (row,) = select(by_phrases, ITEMS[:1])
    assert row.concepts == ("slim bird",)
    assert row.scores == (0,)


def test_image_without_captions_has_no_concepts(settings):
    lists = {("bird", "Grebe"): "red eyes", ("bird", "Crow"): "black feathers"}
    rows = select(settings, [described("Grebe"), ITEMS[1]], lists)
    assert [row.concepts for row in rows] == [(), ("black feathers",)]


def test_order_of_the_images_does_not_matter(by_phrases):
    settings = by_phrases.model_copy(update={"max_negatives": 2})
    items = [*ITEMS, described("Tern", "a bird with a forked tail", "a bird with a cap")]
    rows = select(settings, items)
    assert select(settings, items[::-1]) == rows[::-1]


def test_few_negatives_are_drawn_by_seed(by_phrases):
    settings = by_phrases.model_copy(update={"max_negatives": 1})
    items = [*ITEMS, described("Tern", "a bird with a forked tail")]
    runs = [select(settings, items, seed=seed) for seed in (0, 0, 1, 2, 3)]
    assert runs[0] == runs[1]
    assert any(runs[0] != run for run in runs[2:])
