from dataclasses import replace

import pytest

from finer1.records import Decision, read_jsonl
from finer1.review.desk import Desk
from finer1.review.texts import texts_of
from finer1.teacher.decisions import rationale_hash
from tests.finer1.review.conftest import rationale


@pytest.fixture
def made(make_desk):
    return make_desk()


def rows(made):
    return read_jsonl(made.paths.decisions, Decision)


def test_accepting_what_stands_there_is_an_accept(made):
    shown = made.items[0].rationale
    made.desk.accept(0, texts_of(shown))
    (row,) = rows(made)
    assert (row.verdict, row.edited) == ("accept", None)
    assert (row.id, row.sha256) == (shown.id, rationale_hash(shown))
    assert (row.reviewer, row.time) == ("me", "2026-01-01T00:00:00Z")


def test_accepting_another_text_is_an_edit_of_what_the_teacher_wrote(made):
    shown = made.items[0].rationale
    made.desk.accept(0, replace(texts_of(shown), analysis="a blue crown"))
    made.desk.accept(0, replace(texts_of(shown), analysis="a green crown"))
    assert [row.edited.analysis for row in rows(made)] == ["a blue crown", "a green crown"]
    assert {row.sha256 for row in rows(made)} == {rationale_hash(shown)}
    assert made.desk.shown(0).analysis == "a green crown"


def test_writing_the_teachers_text_again_is_an_accept(made):
    shown = made.items[0].rationale
    made.desk.accept(0, replace(texts_of(shown), analysis="a blue crown"))
    made.desk.accept(0, texts_of(shown))
    assert rows(made)[-1].verdict == "accept"


def test_text_that_cannot_be_trained_on_is_refused_and_not_written(made):
    texts = replace(texts_of(made.items[0].rationale), prediction="oak wren")
    with pytest.raises(ValueError, match="must predict elm wren"):
        made.desk.accept(0, texts)
    assert rows(made) == []


def test_reject_keeps_its_reasons(made):
    made.desk.reject(1, ["leak", "untrue"])
    assert rows(made)[0].reasons == ("leak", "untrue")


def test_undo_takes_back_one_after_the_other(made):
    made.desk.reject(0, [])
    made.desk.reject(1, [])
    assert [made.desk.undo() for _ in range(3)] == [1, 0, None]
    assert [row.verdict for row in rows(made)] == ["reject", "reject", "undo", "undo"]
    assert made.desk.standing() == {}


def test_undo_leaves_others_verdicts(made):
    other = Desk(made.items, made.paths.decisions, "you", 4)
    made.desk.reject(0, [])
    other.reject(1, [])
    assert made.desk.undo() == 0
    assert list(made.desk.standing()) == [made.items[1].key]


def test_undo_takes_back_ones_own_where_anothers_later_verdict_stands(made):
    other = Desk(made.items, made.paths.decisions, "you", 4)
    made.desk.reject(0, [])
    other.accept(0, texts_of(made.items[0].rationale))
    assert made.desk.undo() == 0
    left = made.desk.standing()[made.items[0].key]
    assert (left.reviewer, left.verdict) == ("you", "accept")


def test_verdict_on_what_is_no_longer_shown_is_refused(made):
    made.desk.check_shown(1, made.desk.mark(1))
    with pytest.raises(ValueError, match="the page had moved on to oak wren"):
        made.desk.check_shown(1, made.desk.mark(0))


def test_another_text_about_the_same_image_is_another_item(make_desk):
    texts = [rationale("elm wren"), rationale("elm wren", analysis="new")]
    made = make_desk(texts)
    with pytest.raises(ValueError, match="nothing was written"):
        made.desk.check_shown(0, made.desk.mark(1))


def test_next_open_goes_round_and_stays_when_all_is_judged(made):
    made.desk.reject(1, [])
    assert made.desk.next_open(1) == 0
    made.desk.reject(0, [])
    assert made.desk.next_open(1) == 1


def test_decisions_on_other_texts_do_not_count(make_desk, made):
    made.desk.reject(0, [])
    changed = replace(made.items[0].rationale, analysis="new")
    again = make_desk([changed, made.items[1].rationale])
    assert again.desk.verdicts().total() == 0
