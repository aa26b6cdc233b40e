from dataclasses import replace

import pytest

from finer1.records import Decision, Queued, Rationale
from finer1.teacher.decisions import (
    Counts,
    apply_decisions,
    rationale_hash,
    standing_decisions,
    text_key,
    wilson_interval,
)


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
WAITING = rationale("d")
QUEUE = [Queued(WAITING, ("language",))]
PROSE = replace(ROWS[0], completion="<think>It dives.</think><answer>Grebe</answer>")


def decide(row, verdict, edited=None, reviewer="me", reasons=()):
    return Decision(
        id=row.id,
        sha256=rationale_hash(row),
        verdict=verdict,
        reviewer=reviewer,
        time="2026-01-01T00:00:00Z",
        reasons=reasons,
        edited=edited,
    )


def applied(rows, queue, decisions):
    return apply_decisions(rows, queue, decisions, max_options=4)


def test_without_decisions_what_passed_the_filters_passes_and_the_queue_does_not():
    reviewed = applied(ROWS, QUEUE, [])
    assert reviewed.rationales == ROWS
    assert reviewed.filtered == Counts(accepted=0, edited=0, rejected=0, undecided=3)
    assert reviewed.queued == Counts(accepted=0, edited=0, rejected=0, undecided=1)


def test_rejected_is_left_out():
    decisions = [decide(ROWS[1], "reject"), decide(ROWS[0], "accept")]
    reviewed = applied(ROWS, [], decisions)
    assert reviewed.rationales == [ROWS[0], ROWS[2]]
    assert reviewed.filtered == Counts(accepted=1, edited=0, rejected=1, undecided=1)


def test_accepted_queued_rationale_comes_after_the_others():
    reviewed = applied(ROWS, QUEUE, [decide(WAITING, "accept")])
    assert reviewed.rationales == [*ROWS, WAITING]
    assert reviewed.queued.accepted == 1
    assert reviewed.filtered.accepted == 0


def test_rejected_queued_rationale_does_not_pass():
    assert applied(ROWS, QUEUE, [decide(WAITING, "reject")]).rationales == ROWS


def test_edit_replaces_the_text():
    edited = replace(ROWS[0], analysis="a bright red eye")
    reviewed = applied(ROWS, [], [decide(ROWS[0], "edit", edited)])
    assert reviewed.rationales == [edited, *ROWS[1:]]


def test_edited_prose_is_trained_on_as_edited():
    edited = replace(PROSE, completion="<think>It swims.</think><answer>Grebe</answer>")
    assert applied([PROSE], [], [decide(PROSE, "edit", edited)]).rationales == [edited]


def test_edited_sections_of_prose_take_its_place():
    edited = replace(PROSE, completion=None, analysis="a bright red eye")
    assert applied([PROSE], [], [decide(PROSE, "edit", edited)]).rationales == [edited]


def test_last_decision_counts():
    decisions = [decide(ROWS[0], "reject"), decide(ROWS[0], "accept")]
    assert applied(ROWS, [], decisions).rationales == ROWS


def test_undo_brings_back_the_decision_before():
    made = [decide(ROWS[0], verdict) for verdict in ("reject", "accept", "undo")]
    assert standing_decisions(made) == {text_key(ROWS[0]): made[0]}
    assert standing_decisions([*made, made[2]]) == {}


def test_undo_takes_back_only_what_the_same_reviewer_did():
    made = [decide(ROWS[0], "accept"), decide(ROWS[0], "reject", reviewer="you")]
    assert standing_decisions([*made, decide(ROWS[0], "undo")]) == {text_key(ROWS[0]): made[1]}


def test_undo_without_anything_to_take_back_changes_nothing():
    assert applied(ROWS, [], [decide(ROWS[0], "undo")]).rationales == ROWS


def test_decision_about_another_text_is_stale_and_changes_nothing():
    old = replace(ROWS[0], analysis="old text")
    decisions = [decide(old, "reject"), decide(rationale("gone"), "reject")]
    reviewed = applied(ROWS, [], decisions)
    assert reviewed.rationales == ROWS
    assert reviewed.stale == ["cot/a", "cot/gone"]


def test_rationale_that_was_judged_again_is_not_stale():
    old = replace(ROWS[0], analysis="old text")
    decisions = [decide(old, "reject"), decide(ROWS[0], "accept")]
    assert applied(ROWS, [], decisions).stale == []


def test_rejects_are_counted_by_reason():
    decisions = [
        decide(ROWS[0], "reject", reasons=("leak", "leak", "untrue")),
        decide(ROWS[1], "reject", reasons=("leak",)),
        decide(WAITING, "reject", reasons=("of my own",)),
        decide(ROWS[2], "accept", reasons=("leak",)),
    ]
    assert applied(ROWS, QUEUE, decisions).reasons == {"leak": 2, "untrue": 1, "other": 1}


def test_two_accepted_texts_of_one_image_are_refused():
    twin = replace(ROWS[0], analysis="another")
    with pytest.raises(ValueError, match="cot/a would be trained on twice; reject all but one"):
        applied(ROWS, [Queued(twin, ("language",))], [decide(twin, "accept")])


@pytest.mark.parametrize(
    ("edited", "message"),
    [
        (None, "needs the field `edited`"),
        (replace(ROWS[0], label="Crow"), "must not change `label`"),
        (replace(ROWS[0], prediction="Crow"), "must predict Grebe"),
        (replace(ROWS[0], options=("Crow", "Wren")), "must predict Grebe"),
        (replace(ROWS[0], options=("Grebe", "grebe")), "comes twice"),
        (replace(ROWS[0], options=("Grebe", "Crow, old")), "comma or a semicolon"),
        (replace(ROWS[0], options=("Grebe",)), "2 to 4 options"),
        (replace(ROWS[0], options=("Grebe", *"abcd")), "2 to 4 options"),
        (replace(ROWS[0], options=("Grebe", "Wren")), "must mention every option"),
        (replace(ROWS[0], analysis=" "), "a section of the edited text is empty"),
        (replace(ROWS[0], analysis="</think>"), "or holds a section's tag"),
        (PROSE, "set `completion` to null"),
    ],
)
def test_edit_that_does_not_fit_is_refused(edited, message):
    with pytest.raises(ValueError, match=message):
        applied(ROWS, [], [decide(ROWS[0], "edit", edited)])


@pytest.mark.parametrize(
    ("edited", "message"),
    [
        (replace(PROSE, analysis="new"), "set `completion` to null"),
        (replace(PROSE, completion="<think>x</think><answer>Crow</answer>"), "<answer>Grebe<"),
        (replace(PROSE, completion="<think>x</answer><answer>Grebe</answer>"), "<answer>Grebe<"),
    ],
)
def test_edit_of_prose_that_does_not_fit_is_refused(edited, message):
    with pytest.raises(ValueError, match=message):
        applied([PROSE], [], [decide(PROSE, "edit", edited)])


def test_wilson_interval_of_nine_in_ten():
    # z = 1.95996, z^2 = 3.84146: centre (0.9 + 0.19207) / 1.38415 = 0.78898;
    # half 1.95996 * sqrt(0.009 + 0.0096037) / 1.38415 = 0.19314
    rate = wilson_interval(9, 10, 0.95)
    assert rate.value == 0.9
    assert rate.low == pytest.approx(0.5958, abs=1e-4)
    assert rate.high == pytest.approx(0.9821, abs=1e-4)


def test_wilson_interval_of_all_ends_at_one():
    # low end n / (n + z^2) = 5 / 8.84146
    rate = wilson_interval(5, 5, 0.95)
    assert (rate.value, rate.high) == (1.0, 1.0)
    assert rate.low == pytest.approx(0.5655, abs=1e-4)


def test_wilson_interval_needs_a_trial():
    with pytest.raises(ValueError, match="at least one trial"):
        wilson_interval(0, 0, 0.95)
