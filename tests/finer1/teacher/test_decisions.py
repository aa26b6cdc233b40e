from dataclasses import replace

import pytest

from finer1.records import Decision, Rationale
from finer1.teacher.decisions import apply_decisions, rationale_hash


def rationale(name):
    return Rationale(
        id=f"cot/{name}",
        image_id=name,
        category="bird",
        label="Grebe",
        question="What is it?",
        analysis="red eye",
        options=("Grebe", "Crow"),
        comparison="Grebe fits, Crow does not.",
        prediction="Grebe",
        attempts=1,
        engine="test",
    )


ROWS = [rationale("a"), rationale("b"), rationale("c")]


def decide(row, verdict, edited=None):
    return Decision(
        id=row.id,
        sha256=rationale_hash(row),
        verdict=verdict,
        reviewer="me",
        time="2026-01-01T00:00:00Z",
        edited=edited,
    )


def test_without_decisions_everything_passes():
    reviewed = apply_decisions(ROWS, [])
    assert reviewed.rationales == ROWS
    assert reviewed.undecided == 3


def test_rejected_is_left_out():
    reviewed = apply_decisions(ROWS, [decide(ROWS[1], "reject"), decide(ROWS[0], "accept")])
    assert reviewed.rationales == [ROWS[0], ROWS[2]]
    assert (reviewed.accepted, reviewed.rejected, reviewed.undecided) == (1, 1, 1)


def test_edit_replaces_the_text():
    edited = replace(ROWS[0], analysis="a bright red eye")
    reviewed = apply_decisions(ROWS, [decide(ROWS[0], "edit", edited)])
    assert reviewed.rationales == [edited, *ROWS[1:]]


def test_last_decision_counts():
    decisions = [decide(ROWS[0], "reject"), decide(ROWS[0], "accept")]
    assert apply_decisions(ROWS, decisions).rationales == ROWS


def test_decision_about_another_text_is_stale_and_changes_nothing():
    old = replace(ROWS[0], analysis="old text")
    reviewed = apply_decisions(ROWS, [decide(old, "reject"), decide(rationale("gone"), "reject")])
    assert reviewed.rationales == ROWS
    assert reviewed.stale == ["cot/a", "cot/gone"]


@pytest.mark.parametrize(
    ("edited", "message"),
    [
        (None, "needs the field `edited`"),
        (replace(ROWS[0], label="Crow"), "must not change `label`"),
        (replace(ROWS[0], prediction="Crow"), "must predict Grebe"),
        (replace(ROWS[0], options=("Crow", "Wren")), "must predict Grebe"),
    ],
)
def test_edit_that_does_not_fit_is_refused(edited, message):
    with pytest.raises(ValueError, match=message):
        apply_decisions(ROWS, [decide(ROWS[0], "edit", edited)])
