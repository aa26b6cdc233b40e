"""The words, images and reading of each strategy."""

import random
from dataclasses import replace

import pytest

from finer1.evaluation.strategies import Examples
from finer1.evaluation.strategies import ask as put
from finer1.records import ImageRecord, SplitRecord
from finer1.zoo.entry import OwnPrompts

LABELS = ("ash wren", "elm wren", "oak wren", "reed tern")


@pytest.fixture
def splits():
    """Three images per sub-category, of which the last one has no seen ones; and a test image."""

    def image(label, number):
        key = f"bird/{label}/{number}"
        return ImageRecord(key, "bird", "bird", label, None, key, "0" * 16, "train")

    rows = []
    for label in LABELS:
        is_seen = label != "reed tern"
        parts = ("sft", "tapo", "tapo") if is_seen else ("validation",) * 3
        rows += [SplitRecord(image(label, 10 + n), is_seen, part) for n, part in enumerate(parts)]
        rows.append(SplitRecord(image(label, 0), is_seen, "test"))
    return rows


@pytest.fixture
def examples(splits):
    return Examples(splits, num_open=2, seed=0)


def test_the_trained_form_is_question_and_options_under_the_system_prompt(ask):
    asked = put(ask(setting="closed"), "trained", "Think.")
    assert (asked.system, asked.user, asked.answer_from) == (
        "Think.",
        "What is this?\nOptions: ash wren; elm wren; oak wren; reed tern.",
        "tags",
    )
    assert asked.prompt == f"Think.\n\n{asked.user}"
    assert put(ask(), "trained", "").prompt == "What is this?"


def test_the_released_form_writes_options_as_python_does(ask):
    asked = put(ask(setting="closed", options=("ash wren", "mother's wren")), "released", "Think.")
    assert asked.user == (
        "Given the question: What is this?, based on the options provided in "
        "['ash wren', \"mother's wren\"], output the thinking process in <think> </think> and "
        "final choice in <answer> </answer> tags. The response format should be: "
        "<think>...</think> <answer>choice</answer>."
    )
    assert asked.system == ""
    assert put(ask(), "released", "").user == (
        "Given the question: What is this?. This is a fine-grained question. Output reasoning in "
        "<think></think> and the final answer in <answer></answer>."
    )


@pytest.mark.parametrize(
    ("strategy", "words", "answer_from"),
    [
        ("direct", "name alone", "text"),
        ("cot", "step by step", "tags"),
        ("think", "output the thinking process in <think> </think>", "tags"),
    ],
)
def test_other_forms_send_no_system_prompt(ask, strategy, words, answer_from):
    asked = put(ask(setting="closed"), strategy, "Think.")
    assert asked.user.startswith("What is this?\nOptions: ash wren; ")
    assert words in asked.user
    assert (asked.system, asked.answer_from) == ("", answer_from)


def test_a_models_own_templates_take_the_place_of_ours_when_it_is_asked_as_trained(ask):
    own = OwnPrompts(
        closed="{{{question}}} of {options}", open="{category}: {question}", system="S"
    )
    closed, opened = ask(setting="closed", options=("a", "b")), ask()
    assert put(closed, "trained", "Think.", own, "text").user == "{What is this?} of a; b"
    asked = put(opened, "trained", "Think.", own, "text")
    assert (asked.user, asked.system, asked.answer_from) == ("bird: What is this?", "S", "text")
    assert put(opened, "direct", "", own, "tags").user == put(opened, "direct", "").user


def test_each_seen_option_has_an_example_and_the_asked_image_comes_last(ask, examples):
    question = ask(setting="closed")
    asked = put(question, "in_context", "", examples=examples)
    *shown, last = asked.images
    assert last == question.image_id
    assert sorted(image.split("/")[1] for image in shown) == ["ash wren", "elm wren", "oak wren"]
    lines = asked.user.split("\n")
    for place, image in enumerate(shown, 1):
        assert lines[place - 1] == f"Picture {place} shows: {image.split('/')[1]}."
    assert lines[3] == "The question is about picture 4."
    assert asked.answer_from == "text"


def test_the_examples_are_training_images(ask, examples):
    images = put(ask(setting="closed"), "in_context", "", examples=examples).images[:-1]
    assert all(image.split("/")[2] in ("10", "11", "12") for image in images)


def test_an_image_is_no_example_for_itself(ask, splits):
    rows = [row for row in splits if row.image.id != "bird/elm wren/11"]
    rows = [row for row in rows if row.image.id != "bird/elm wren/12"]  # one image is left
    question = replace(ask(setting="closed"), image_id="bird/elm wren/10")
    images = put(question, "in_context", "", examples=Examples(rows, 2, 0)).images
    assert images.count("bird/elm wren/10") == 1


def test_neither_truth_nor_order_of_the_options_shapes_the_examples(ask, examples):
    question = ask(setting="closed")
    other = replace(question, label="ash wren", options=tuple(reversed(question.options)))
    assert examples.of(question) == examples.of(other)
    opened = ask()
    assert examples.of(opened) == examples.of(replace(opened, label="oak wren"))


def test_the_truth_stands_anywhere_among_the_examples(ask, examples):
    places = [
        [image.label for image in examples.of(ask(number, "closed"))].index("elm wren")
        for number in range(300)
    ]
    # 300 draws of 3 places: 100 each, standard deviation 8.2; 5 of them are 41.
    assert all(abs(places.count(place) - 100) < 41 for place in range(3))


def test_an_open_question_has_as_many_examples_as_a_closed_one_has_options(ask, splits):
    for count in (1, 2, 3):
        assert len(Examples(splits, count, 0).of(ask())) == count
    assert len(Examples(splits, 9, 0).of(ask())) == 3  # no more are seen


def test_an_open_question_shows_its_truth_no_oftener_than_chance(ask, examples):
    with_truth = sum(
        "elm wren" in [image.label for image in examples.of(ask(number))] for number in range(300)
    )
    # 2 of 3 classes: 200 of 300, standard deviation 8.2; 5 of them are 41.
    assert abs(with_truth - 200) < 41


def test_the_order_of_the_rows_changes_no_example(ask, splits, examples):
    mixed = list(splits)
    random.Random(0).shuffle(mixed)
    assert Examples(mixed, 2, 0).of(ask()) == examples.of(ask())


def test_without_seen_options_only_the_asked_image_is_shown(ask, examples):
    question = ask(setting="closed", options=("reed tern", "sand tern"), label="reed tern")
    asked = put(question, "in_context", "", examples=examples)
    assert asked.images == (question.image_id,)
    assert asked.user.startswith("What is this?")


def test_examples_of_a_set_without_training_images_are_refused(ask):
    with pytest.raises(ValueError, match="in_context needs training images.*choose trained"):
        put(ask(), "in_context", "")
