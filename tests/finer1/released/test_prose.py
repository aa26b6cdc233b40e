import pytest

from finer1.prompts import prose_completion
from finer1.reference.classes import released_classes
from finer1.released.prose import Prose, read_prose

FIRST = """Analysis of the bird:
- Black all over.

 Candidate Subcategories:
The analysis of candidate subcategories:
1. American Crow (Corvus brachyrhynchos): black.
   - Found in towns.
2. Fish Crow - smaller.

3. **Common Raven**
4. Rook

 Comparison Process:
The Rook has a bare face.

 Final Prediction:
It is a crow.
The prediction is: American Crow
"""

SUMMARY_LAST = """Headlights are round.

 Candidate Subcategories
- Ferrari 458 Italia Convertible (2012)
- Ferrari California

 Comparison Process
The California is softer.

 Final Answer
The analysis of candidate subcategories:
Ferrari 458 Italia Convertible 2012, Ferrari California (any year, really)

All fits.
The prediction is: The car is a Ferrari 458 Italia.
"""

BARE = """A red flower.
The analysis of candidate subcategories:
Based on what is seen, these are possible:
- Rose
- Peony

- Rose: many petals.
- Peony: more petals.

The prediction is: Rose"""


def test_sections_under_headings_are_found():
    prose = read_prose(FIRST)
    assert prose.analysis == "Analysis of the bird:\n- Black all over."
    assert prose.options == ("American Crow", "Fish Crow", "Common Raven", "Rook")
    assert prose.comparison == "The Rook has a bare face."
    assert prose.prediction == "American Crow"
    assert prose.missing == ()


def test_summary_after_the_comparison_is_no_part_of_it():
    prose = read_prose(SUMMARY_LAST)
    assert prose.analysis == "Headlights are round."
    assert prose.options == ("Ferrari 458 Italia Convertible 2012", "Ferrari California")
    assert prose.comparison == "The California is softer."


def test_without_a_heading_the_comparison_follows_the_list():
    prose = read_prose(BARE)
    assert prose.options == ("Rose", "Peony")
    assert prose.comparison == "Rose: many petals.\n- Peony: more petals."


@pytest.mark.parametrize("text", ["", "no literal line", "\n" * 1000, "The prediction is:"])
def test_text_without_sections_gives_empty_ones(text):
    assert read_prose(text).missing == ("analysis", "options", "comparison", "prediction")


def test_sentence_is_no_option():
    text = (
        "Seen.\nThe analysis of candidate subcategories:\nThere is no airplane in this image, so "
    )
    assert read_prose(f"{text}none can be named at all.\nThe prediction is: none").options == ()


@pytest.mark.parametrize("dataset", ["aircraft", "bird", "car", "dog", "flower", "pet"])
def test_prose_target_is_read_back_whatever_the_names(dataset):
    names = sorted(released_classes(dataset))
    for start in range(0, len(names), 4):
        options = tuple(names[start : start + 4])
        if len(options) < 2:
            continue
        parts = Prose(
            analysis="The head is dark.\n\n- Long bill: yes\n- Crest: no",
            options=options,
            comparison="\n".join(f"{number}. {name}: fits." for number, name in enumerate(options)),
            prediction=options[0],
        )
        text = prose_completion(*vars(parts).values(), options[0])
        thought = text.removeprefix("<think>").partition("</think>")[0]
        assert read_prose(thought) == parts
