import random
import re
import unicodedata

import pytest

from finer1.evaluation.answers import (
    is_exact,
    is_included,
    join_brackets,
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


def normalise_by_pattern(text):
    """The same by patterns, in a time that grows with the square of the text."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    gap = r"[\s_\-\u2010-\u2015]"
    named = re.sub(rf"(?s)\A{gap}*(?:(?:a|an|the)\s+)+(?=.*[^\W_])", "", folded)
    return re.sub(f"{gap}+", " ", named).strip().rstrip(".,;:!? ")


def test_normal_forms_are_those_of_the_patterns():
    generator = random.Random(0)
    pieces = ["a", "an", "the", "A", "x", "10", "An-12", " ", "  ", "\t", "\n", "-", "_", "\u2010"]
    pieces += ["\u2003", "\x1c", ".", "?", "\u0661", "\u2160"]
    for _ in range(4_000):
        text = "".join(generator.choices(pieces, k=generator.randrange(10)))
        assert normalise(text) == normalise_by_pattern(text), ascii(text)


def test_brackets_are_joined_as_the_pattern_joins_them():
    generator = random.Random(0)
    pieces = ["<", ">", "/", " ", "\n", "\u2003", "\x1c", "x", "answer", "<answer>", "</answer>"]
    for _ in range(4_000):
        text = "".join(generator.choices(pieces, k=generator.randrange(12)))
        joined = re.sub(r"\s*([<>/])\s*", r"\1", text)
        found = re.search("(?s)<answer>(.*?)</answer>", joined)
        assert join_brackets(text) == joined, ascii(text)
        assert is_included(text, "x") == (found is not None and "x" in found[1]), ascii(text)


@pytest.mark.parametrize("text", [" ", "the ", "a \t ", "- ", "< ", "<answer>", "</answer>"])
def test_a_megabyte_is_read_at_once(text):
    # "a", then white space without a name behind it.
    text = f"a{text * (1_000_000 // len(text))}"
    assert len(normalise.__wrapped__(text)) <= len(text)
    assert not is_included(text, "x")


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
