import pytest

from finer1.evaluation.answers import (
    is_exact,
    is_included,
    named_labels,
    normalise,
    same_name,
)
from finer1.prompts import parse_completion


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Laysan_Albatross", "laysan albatross"),
        ("  The   Blue-Jay. ", "blue jay"),
        ("an Abyssinian!", "abyssinian"),
        ("Boeing 737\u2013200", "boeing 737 200"),  # en dash
        ("\uff22oxer", "boxer"),  # full-width letter
        ("A", "a"),  # a name is not stripped to nothing
        ("A -", "a"),
        ("Anna Hummingbird", "anna hummingbird"),  # no article
        ("An-12", "an 12"),  # articles stand before white space
        ("A-10 Thunderbolt", "a 10 thunderbolt"),
        ("an A_10.", "a 10"),
        ("- the\tblue jay", "blue jay"),
        ("Stra\u00dfe", "strasse"),
        ("", ""),
    ],
)
def test_normalise(text, expected):
    assert normalise(text) == expected


@pytest.mark.parametrize("text", ["The  blue-jay.", "a an x", "...", " - ", "\u212b"])
def test_normalise_twice_is_normalise_once(text):
    assert normalise(normalise(text)) == normalise(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<answer>blue jay</answer>", True),
        ("<think>Green Jay</think><answer>The Blue_Jay.</answer>", True),
        ("<answer>Blue Jay or Green Jay</answer>", False),
        ("<answer>Blue Jay", False),
        ("<answer>Blue Jay</answer><answer>Blue Jay</answer>", False),
        ("Blue Jay", False),
        ("", False),
    ],
)
def test_exact_wants_one_name_in_one_closed_answer(text, expected):
    assert is_exact(parse_completion(text), "Blue Jay") == expected


def test_every_answer_that_is_exact_is_included():
    text = "<answer>Blue Jay</answer>"
    assert is_exact(parse_completion(text), "Blue Jay")
    assert is_included(text, "Blue Jay")


def test_inclusion_takes_the_first_closed_answer():
    text = "<answer>Persian</answer><answer>Abyssinian</answer>"
    assert is_included(text, "persian")
    assert not is_included(text, "Abyssinian")


LABELS = ("Petunia", "Mexican Petunia", "Sweet Pea", "F-16A/B")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("mexican petunia", ("Mexican Petunia",)),
        ("petunia", ("Petunia",)),
        ("petunias", ()),  # part of a word
        ("Sweet_Pea, petunia", ("Sweet Pea", "Petunia")),
        ("petunia or mexican petunia", ("Petunia", "Mexican Petunia")),
        ("petunia, petunia", ("Petunia",)),
        ("an F 16A/B.", ("F-16A/B",)),
        ("rose", ()),
        ("", ()),
    ],
)
def test_names_in_an_answer(answer, expected):
    assert named_labels(answer, LABELS) == expected


def test_no_labels_name_nothing():
    assert named_labels("petunia", ()) == ()


def test_the_same_name_is_found_in_the_spelling_of_the_names():
    assert same_name("The elm-wren.", ("oak wren", "Elm Wren")) == "Elm Wren"
    assert same_name("wren", ("oak wren", "Elm Wren")) is None
    assert same_name(None, ("Elm Wren",)) is None
