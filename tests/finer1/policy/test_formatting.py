import pytest

from finer1.policy.formatting import has_form_of
from finer1.prompts import answer_completion, rationale_completion, sections_text

SECTIONED = rationale_completion(sections_text("x", ("a", "b"), "y", "a"), "a")
PROSE = "<think>Black all over.</think>\n\n<answer>American Crow</answer>"
BARE = answer_completion("a")


@pytest.mark.parametrize(
    ("target", "forms"),
    [(SECTIONED, {SECTIONED}), (PROSE, {SECTIONED, PROSE}), (BARE, {BARE})],
)
def test_completion_needs_the_parts_of_its_target(target, forms):
    texts = (SECTIONED, PROSE, BARE, "no tags", "<think>x</think>")
    assert {text for text in texts if has_form_of(text, target)} == forms
