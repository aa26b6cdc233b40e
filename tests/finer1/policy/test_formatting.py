import pytest

from finer1.policy.formatting import has_form_of
from finer1.prompts import (
    answer_completion,
    prose_completion,
    rationale_completion,
    sections_text,
)

SECTIONED = rationale_completion(sections_text("x", ("a", "b"), "y", "a"), "a")
PROSE = prose_completion("Black.", ("American Crow", "Rook"), "y", "Rook", "Rook")
BARE = answer_completion("a")


@pytest.mark.parametrize(
    ("target", "forms"),
    [(SECTIONED, {SECTIONED}), (PROSE, {SECTIONED, PROSE}), (BARE, {BARE})],
)
def test_completion_needs_the_parts_of_its_target(target, forms):
    texts = (SECTIONED, PROSE, BARE, "no tags", "<think>x</think>")
    assert {text for text in texts if has_form_of(text, target)} == forms
