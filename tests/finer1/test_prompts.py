import random
import re

import pytest

from finer1.prompts import (
    QUESTIONS,
    SECTIONS,
    closed_question,
    free_completion,
    parse_completion,
    parse_sections,
    prose_completion,
    question,
    rationale_completion,
    sections_text,
    split_options,
)

SECTIONED = sections_text("hooked beak", ("pine siskin", "snow bunting"), "a b", "pine siskin")
GOLD = rationale_completion(SECTIONED, "pine siskin")


def test_the_gold_completion_has_its_sections_and_answer():
    completion = parse_completion(GOLD)
    assert completion.is_sectioned
    assert completion.answer == "pine siskin"
    assert completion.sections["options"] == "pine siskin, snow bunting"


def test_prose_completion_is_laid_out_as_released():
    text = prose_completion("Hooked beak.", ("pine siskin", "robin"), "a b", "robin", "robin")
    assert text == (
        "<think>Hooked beak.\n\nThe analysis of candidate subcategories:\n1. pine siskin\n"
        "2. robin\n\nComparison Process:\na b\n\nThe prediction is: robin\n</think>\n\n"
        "<answer>robin</answer>"
    )
    completion = parse_completion(text)
    assert completion.is_tagged
    assert not completion.is_sectioned
    assert completion.answer == "robin"


def test_white_space_between_elements_is_allowed():
    assert parse_completion(GOLD.replace("</think>", "\n</think>\n\n")).is_sectioned


@pytest.mark.parametrize("section", SECTIONS)
def test_a_missing_section_leaves_tags_but_no_sections(section):
    completion = parse_completion(GOLD.replace(f"<{section}>", "").replace(f"</{section}>", ""))
    assert completion.is_tagged
    assert not completion.is_sectioned


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pine siskin",
        "<answer>pine siskin",
        "<answer>a</answer><answer>b</answer>",
        "<answer><think>a</answer>",
    ],
)
def test_an_answer_counts_only_when_there_is_exactly_one_closed_element(text):
    assert parse_completion(text).answer is None


def test_text_after_the_answer_breaks_the_format_but_not_the_answer():
    completion = parse_completion(f"{GOLD} or a robin")
    assert not completion.is_tagged
    assert completion.answer == "pine siskin"


def test_a_tag_injected_into_a_section_breaks_it():
    assert parse_sections(SECTIONED.replace("hooked", "<answer>hooked")) == {}


def test_sections_out_of_order_are_no_sections():
    swapped = SECTIONED.replace("analysis>", "x>").replace("comparison>", "analysis>")
    assert parse_sections(swapped.replace("x>", "comparison>")) == {}


def sections_by_pattern(text):
    """The same by one pattern, in a time that grows with the cube of the text."""
    parts = r"\s*".join(rf"<{name}>(.*?)</{name}>" for name in SECTIONS)
    match = re.fullmatch(rf"\s*{parts}\s*", text, re.DOTALL)
    tag = re.compile(rf"</?(?:think|answer|{'|'.join(SECTIONS)})>")
    if match is None or any(tag.search(body) for body in match.groups()):
        return {}
    return {name: body.strip() for name, body in zip(SECTIONS, match.groups(), strict=True)}


def test_sections_are_those_of_one_pattern():
    # The right sections with a few pieces put in or left out.
    generator = random.Random(0)
    tags = [f"<{slash}{name}>" for name in (*SECTIONS, "answer") for slash in ("", "/")]
    found = 0
    for _ in range(4_000):
        pieces = [part for name in SECTIONS for part in (f"<{name}>", "x", f"</{name}>", " ")]
        for _ in range(generator.randrange(4)):
            place = generator.randrange(len(pieces))
            pieces[place : place + generator.randrange(2)] = generator.choices(
                [*tags, " ", "\n", "\u2003", "y", "<"], k=generator.randrange(2)
            )
        text = "".join(pieces)
        assert parse_sections(text) == sections_by_pattern(text), text
        found += parse_sections(text) != {}
    assert 1_000 < found < 3_000


@pytest.mark.parametrize("text", ["<analysis></analysis>", "</analysis><options>", SECTIONED, " "])
def test_sections_of_a_megabyte_are_read_at_once(text):
    assert parse_sections(text * (1_000_000 // len(text))) == {}


def test_options_are_split_at_commas_semicolons_and_lines():
    assert split_options("a b, c; d\ne,") == ("a b", "c", "d", "e")


def test_cars_are_asked_for_their_model_and_birds_for_their_species():
    assert question("car", 8) == "Could you tell me the model of this car?"
    assert question("bird", 9) == "What species is the bird in this picture?"


def test_there_are_ten_question_templates():
    assert len(QUESTIONS) == 10


def test_a_closed_question_shows_the_options_in_order():
    assert closed_question("Which?", ["b", "a"]) == "Which?\nOptions: b; a."


def test_the_free_form_is_the_text_without_its_structure():
    text = free_completion("hooked beak", "a has x; b has y", "a", "a")
    assert text == "<think>hooked beak\na has x; b has y\na</think><answer>a</answer>"
    completion = parse_completion(text)
    assert completion.is_tagged
    assert not completion.is_sectioned
