import pytest

from finer1.evaluation.gate import is_comparable, pass_gate
from finer1.evaluation.statistics import Bootstrap

BOOTSTRAP = Bootstrap(samples=200, confidence=0.95, seed=0)


def answers(*rows):
    return {
        f"open/{place}": {"name": name, "seen": seen, "is_correct": is_correct}
        for place, (name, seen, is_correct) in enumerate(rows)
    }


ASKED = [(name, seen) for seen in (True, False) for name in "abcd"]
WRONG = answers(*((name, seen, False) for name, seen in ASKED))
RIGHT = answers(*((name, seen, True) for name, seen in ASKED))


def test_better_in_every_class_passes():
    gate = pass_gate(RIGHT, WRONG, BOOTSTRAP, 0.0)
    # Every difference is 1, so that every resample's mean is.
    assert (gate.has_passed, gate.num_questions) == (True, 8)
    assert (gate.interval.value, gate.interval.low, gate.interval.high) == (1.0, 1.0, 1.0)


def test_the_same_answers_do_not_pass():
    assert not pass_gate(RIGHT, RIGHT, BOOTSTRAP, 0.0).has_passed


def test_better_in_one_class_of_eight_is_no_proof():
    rows = {**WRONG, "open/0": {**WRONG["open/0"], "is_correct": True}}
    gate = pass_gate(rows, WRONG, BOOTSTRAP, 0.0)
    # seen 1/4, unseen 0; a resample of four classes lacks the one in (3/4)^4 = 32 % of all.
    assert gate.interval.value == pytest.approx(0.125)
    assert gate.interval.low == 0.0
    assert not gate.has_passed


def test_sides_weigh_the_same_whatever_their_size():
    asked = [*(("a", True) for _ in range(9)), ("b", False)]
    right_seen = answers(*((name, seen, seen) for name, seen in asked))
    wrong = answers(*((name, seen, False) for name, seen in asked))
    assert pass_gate(right_seen, wrong, BOOTSTRAP, 0.0).interval.value == pytest.approx(0.5)


def test_the_gain_that_is_asked_for_is_a_bound_of_the_interval():
    assert pass_gate(RIGHT, WRONG, BOOTSTRAP, 0.99).has_passed
    assert not pass_gate(RIGHT, WRONG, BOOTSTRAP, 1.0).has_passed


def test_other_questions_are_no_comparison():
    fewer = {key: row for key, row in RIGHT.items() if key != "open/0"}
    assert is_comparable(RIGHT, WRONG)
    assert not is_comparable(RIGHT, fewer)
    with pytest.raises(ValueError, match="same questions"):
        pass_gate(RIGHT, fewer, BOOTSTRAP, 0.0)


def test_without_open_questions_there_is_no_gate():
    with pytest.raises(ValueError, match="no open question"):
        pass_gate({}, {}, BOOTSTRAP, 0.0)
