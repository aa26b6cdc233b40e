"""Letters of answers, read or refused."""

import pytest

from finer1.general.letters import read_letter

CHOICES = ("Fowler's position", "Upright position", "Trendelenburg position", "Flat position")


@pytest.mark.parametrize(
    ("completion", "letter"),
    [
        ("A", "A"),
        ("b", "B"),
        ("(A)", "A"),
        ("A.", "A"),
        ("**D**", "D"),
        ("Option C", "C"),
        ("<answer>B</answer>", "B"),
        ("<think>It may be A.</think><answer>(B) Upright position</answer>", "B"),
        ("<think>It may be A.</think> C", "C"),
        ("C. Trendelenburg position", "C"),
        ("The answer is C", "C"),
        ("The correct answer is (B).", "B"),
        ("It is not A. The answer is: B.", "B"),
        ("The answer is C because the feet are raised.", "C"),
        ("Answer: C", "C"),
        ("C.Trendelenburg position", "C"),
        ("B. A museum in D.C. today", "B"),
        ("The answer is B. It is upright.", "B"),
    ],
)
def test_a_clear_letter_is_read(completion, letter):
    assert read_letter(completion, CHOICES) == letter


@pytest.mark.parametrize(
    "completion",
    [
        "",
        "E",
        "A dog",
        "The answer is A dog",
        "A or B",
        "A. or B.",
        "A.B.",
        "A.I. systems",
        "A.I systems",
        "D.J. Khaled",
        "The answer is D.J. Khaled",
        "The answer is A, B or C",
        "The answer is (A) or (B)",
        "The answer is B. The answer is C.",
        "Option A is wrong.",
        "I reject option A.",
        "<answer>A</answer><answer>B</answer>",
        "<think>The answer is A",
        "I would raise the feet.",
    ],
)
def test_what_is_not_clear_is_no_letter(completion):
    assert read_letter(completion, CHOICES) is None


def test_an_answer_that_is_one_choice_word_for_word_is_its_letter():
    assert read_letter("flat position.", CHOICES) == "D"


def test_a_choice_within_an_answer_is_none():
    assert read_letter("It is the flat position of course", CHOICES) is None


def test_a_text_that_two_choices_have_is_none():
    assert read_letter("red", ("red", "Red", "blue", "green")) is None
