from dataclasses import replace

import pytest

from finer1.records import Rationale
from finer1.teacher.decisions import apply_decisions
from finer1.world import language
from finer1.world.reviewer import decide
from finer1.world.taxonomies import load_taxonomy

WORLD = load_taxonomy("embedded")
WREN = WORLD.find("elm wren")
"""Blue hooked unbarred forked striped."""


@pytest.fixture
def rationale():
    """A true one, as the teacher would write it."""
    options = language.choose_options(WORLD, WREN, WREN.values)
    return Rationale(
        id="cot/world/x",
        image_id="world/x",
        category="bird",
        label=WREN.name,
        question="What is it?",
        analysis=language.caption_text(WREN.values),
        options=tuple(item.name for item in options),
        comparison=language.comparison_text(options),
        prediction=WREN.name,
        attempts=1,
        engine="oracle",
    )


def reviewed(row):
    return apply_decisions([row], [], [decide(WORLD, row, WREN.values)], max_options=4)


def test_what_is_true_is_accepted(rationale):
    assert decide(WORLD, rationale, WREN.values).verdict == "accept"
    assert reviewed(rationale).rationales == [rationale]


@pytest.mark.parametrize(
    "changes",
    [
        {"analysis": "red hooked unbarred forked striped"},  # a misread crown
        {"analysis": "blue hooked unbarred forked striped \u7ea2\u8272"},  # from the queue
        {"comparison": "elm wren has red long; others do not"},
    ],
)
def test_what_is_untrue_is_corrected_to_what_the_image_shows(rationale, changes):
    wrong = replace(rationale, **changes)
    assert decide(WORLD, wrong, WREN.values).verdict == "edit"
    result = reviewed(wrong)
    assert result.rationales == [rationale]
    assert (result.filtered.edited, result.stale) == (1, [])


@pytest.mark.parametrize(
    "changes",
    [
        {"prediction": "marsh wren"},
        {"options": ("marsh wren", "glade wren")},
        {"completion": "<think>no sections</think><answer>elm wren</answer>"},
    ],
)
def test_what_is_beyond_correction_is_rejected(rationale, changes):
    wrong = replace(rationale, **changes)
    result = reviewed(wrong)
    assert (result.rationales, result.filtered.rejected) == ([], 1)
    assert result.reasons == {"other": 1}


def test_equal_rationales_get_equal_decisions(rationale):
    assert decide(WORLD, rationale, WREN.values) == decide(WORLD, rationale, WREN.values)
