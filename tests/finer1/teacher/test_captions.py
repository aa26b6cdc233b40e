import pytest

from finer1.params import load_params
from finer1.records import ImageRecord
from finer1.teacher.captions import Described, select_for_images
from finer1.teacher.encoders import load_encoder


@pytest.fixture
def settings(repository):
    return load_params(repository / "params.yaml").concepts.model_copy(update={"min_concepts": 1})


def described(label, *captions):
    image = ImageRecord(
        id=f"bird/{label}",
        dataset="bird",
        category="bird",
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


def select(settings, items=ITEMS, lists=None):
    return select_for_images(items, lists or {}, load_encoder("char_ngrams"), settings, 0)


def test_feature_of_the_class_wins_over_what_all_share(settings):
    lists = {("bird", "Grebe"): "a bird\nred eyes", ("bird", "Crow"): "a bird\nblack feathers"}
    rows = select(settings, lists=lists)
    assert [row.concepts for row in rows] == [("red eyes",), ("black feathers",)]


def test_phrases_of_captions_can_be_the_candidates(settings):
    rows = select(settings.model_copy(update={"candidates": "captions"}))
    assert [row.concepts[0] for row in rows] == ["red eyes", "black feathers"]


def test_captions_of_the_own_class_are_no_negatives(settings):
    settings = settings.model_copy(update={"candidates": "captions"})
    twin = Described(ITEMS[0].image, ("a bird with red eyes",))
    alone = select(settings)[0]
    assert select(settings, [*ITEMS, twin])[0] == alone


def test_few_negatives_are_drawn_by_seed(settings):
    settings = settings.model_copy(update={"candidates": "captions", "max_negatives": 1})
    encoder = load_encoder("char_ngrams")
    items = [*ITEMS, described("Tern", "a bird with a forked tail")]
    runs = [select_for_images(items, {}, encoder, settings, seed) for seed in (0, 0, 1, 2, 3)]
    assert runs[0] == runs[1]
    assert any(runs[0] != run for run in runs[2:])
