import pytest

from finer1.report.inputs import read_inputs
from finer1.report.pictures import Pictures
from finer1.report.samples import (
    choose_concepts,
    choose_samples,
    worst_confusions,
)


@pytest.fixture(scope="module")
def inputs(params):
    return read_inputs(params)


@pytest.fixture(scope="module")
def pictures(inputs):
    return Pictures(inputs.archive, inputs.images)


def test_samples_are_on_different_images(inputs, pictures):
    samples = choose_samples(inputs, pictures)
    images = [sample.question.image_id for sample in samples]
    assert len(images) == len(set(images)) == 8  # all test images: fewer than report.samples


def test_first_samples_come_from_all_four_settings(inputs, pictures):
    samples = choose_samples(inputs, pictures)[:3]
    assert [(s.question.setting, s.question.seen) for s in samples] == [
        ("open", True), ("open", False), ("closed", True),
    ]  # fmt: skip


def test_all_models_reply_to_the_same_question(inputs, pictures):
    sample = choose_samples(inputs, pictures)[0]
    assert [reply.key for reply in sample.replies] == ["base", "sft", "tapo"]
    assert [name for name, _ in sample.replies[2].sections] == [
        "analysis", "options", "comparison", "prediction",
    ]  # fmt: skip


def test_a_completion_without_answer_is_shown_with_the_reason(inputs, pictures, cells):
    base = choose_samples(inputs, pictures)[0].replies[0]
    assert base.verdict == "wrong: no single closed answer"
    assert base.raw == f"a {cells.hostile} bird"


def test_confusions_show_both_classes(inputs, pictures):
    rows = [row for row in inputs.verdicts["sft"] if row.setting == "open"]
    confusions = worst_confusions(inputs, rows, pictures)
    # sft answers elm wren for the six images of the three other classes.
    assert [(pair.answered, pair.times, pair.images) for pair in confusions] == [
        ("elm wren", 2, 2)
    ] * 3
    assert all(len(pair.label_pictures) == len(pair.answered_pictures) == 2 for pair in confusions)


def test_the_best_concept_has_the_longest_bar(inputs, pictures, cells):
    card = choose_concepts(inputs, pictures)[0]
    assert card.concepts == (("red crown", 1.5, 1.0), (cells.hostile, 0.5, 0.25))


def test_an_image_outside_the_index_is_named(pictures):
    with pytest.raises(ValueError, match=r"w/9/9\.png is not an image"):
        pictures.uri("w/9/9.png")
