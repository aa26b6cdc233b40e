import pytest

from finer1.evaluation.released_rules import (
    is_released_closed,
    is_released_open,
    released_answer,
    released_dataset_word,
    released_output,
    released_word,
)

CAR_LABEL = "Ferrari 458 Italia Convertible 2012"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>x</think><answer> Boxer\n</answer>", "Boxer"),
        ("<answer>a</answer> or <answer>b</answer>", "a</answer> or <answer>b"),
        ("<answer></answer>", ""),
        ("<answer >Boxer</answer>", None),
        ("<ANSWER>Boxer</ANSWER>", None),
        ("<answer>Boxer", None),
    ],
)
def test_the_answer_reaches_from_the_first_tag_to_the_last(text, answer):
    assert released_answer(text) == answer


@pytest.mark.parametrize("text", ["It is a Boxer", "<answer> </answer>It is"])
def test_without_an_answer_the_output_is_all_of_the_text(text):
    assert released_output(text) == text


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("american bulldog", True),
        ("AMERICAN_BULLDOG or a Boxer", True),
        ("American-Bulldog", False),
        ("Bulldog", False),
    ],
)
def test_a_closed_answer_contains_the_label(answer, right):
    assert is_released_closed(f"<answer>{answer}</answer>", "American_Bulldog") is right


def test_a_closed_question_without_tags_is_wrong():
    assert not is_released_closed("American Bulldog", "American Bulldog")


def test_an_empty_closed_answer_is_wrong_even_for_an_empty_label():
    assert not is_released_closed("<answer> </answer>", "")


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("<answer>a Laysan Albatross</answer>", True),
        ("It is a laysan albatross", True),
        ("Laysan Albatross? <answer>Sooty Albatross</answer>", False),
        ("<answer>laysan_albatross</answer>", False),  # only the label's own _ is a space
    ],
)
def test_an_open_answer_or_whole_output_contains_the_label(text, right):
    assert is_released_open(text, "Laysan_Albatross", is_car=False) is right


@pytest.mark.parametrize(
    ("answer", "right"),
    [("ferrari 458 italia", True), (CAR_LABEL, True), ("Ferrari 458", False)],
)
def test_a_car_needs_neither_body_style_nor_year(answer, right):
    assert is_released_open(f"<answer>{answer}</answer>", CAR_LABEL, is_car=True) is right


def test_another_label_needs_all_its_words():
    assert not is_released_open("<answer>ferrari 458 italia</answer>", CAR_LABEL, is_car=False)


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("fgvc_aircraft/data/images/0116175.jpg", "aircraft"),
        ("stanford-cars/cars_test/00002.jpg", "car"),
        ("flower102/jpg/image_05087.jpg", "flower"),
        ("bird_200/images/001.Black_footed_Albatross/x.jpg", "object"),
        ("dogs_120/Images/n02085936-Maltese_dog/x.jpg", "object"),
        ("oxford-pet/images/american_bulldog_203.jpg", "object"),
        ("birds/1.jpg", "bird"),
    ],
)
def test_the_word_is_read_from_the_path(path, word):
    assert released_word(path) == word


@pytest.mark.parametrize(
    ("dataset", "word"), [("car", "car"), ("aircraft", "aircraft"), ("bird", "object")]
)
def test_the_word_of_a_dataset_is_that_of_its_released_paths(dataset, word):
    assert released_dataset_word(dataset) == word
