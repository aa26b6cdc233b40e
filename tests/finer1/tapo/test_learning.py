"""Histories made by hand, one metric of interest at a time."""

import logging

import pytest

from finer1.tapo.learning import learning_reports, log_new_reports

STEADY = {"reward/mean": 0.5, "reward/format": 0.5, "reward/accuracy": 0.5, "rollout/hedged": 0.0}


def history(**series):
    """Steps with the values of the series, steady otherwise."""
    names = {"reward": "reward/mean", "format": "reward/format", "accuracy": "reward/accuracy"}
    names["hedged"] = "rollout/hedged"
    length = len(next(iter(series.values())))
    return [
        STEADY | {names[name]: values[i] for name, values in series.items()} for i in range(length)
    ]


def reported(steps):
    """What is reported in the last step of a run."""
    for end in range(1, len(steps) + 1):
        steps[end - 1] |= learning_reports(steps[:end])
    names = {name for name in steps[-1] if name.startswith("guard/")}
    return {name.removeprefix("guard/") for name in names if steps[-1][name]}


def test_steady_learning_is_not_reported():
    rising = [0.1 * i for i in range(10)]
    assert reported(history(reward=rising, format=rising, accuracy=rising)) == set()
    assert reported(history(reward=[0.5])) == set()


@pytest.mark.parametrize(
    ("last", "expected"),
    [(0.3, {"reward_collapse"}), (0.5, set())],  # half of the best window is 0.4
)
def test_a_reward_below_half_of_its_best_has_collapsed(last, expected):
    assert reported(history(reward=[0.8] * 5 + [last] * 5)) == expected


def test_the_best_window_may_be_long_ago():
    # The best five are the first; what came between has neither grown nor collapsed.
    assert reported(history(reward=[0.8] * 5 + [0.5] * 50 + [0.3] * 5)) == {"reward_collapse"}
    # 0.8 in two steps of five: the best mean is (2 x 0.8 + 3 x 0.4) / 5 = 0.56, half of it 0.28.
    assert reported(history(reward=[0.8] * 2 + [0.4] * 30 + [0.3] * 5)) == set()


def test_a_step_looks_at_a_bounded_part_of_the_history():
    class Watched(list):
        """Notes how many steps are looked at."""

        def __getitem__(self, key):
            found = super().__getitem__(key)
            looked.append(len(found) if isinstance(key, slice) else 1)
            return found

    counts = []
    for length in (20, 200):
        steps, looked = history(reward=[0.5] * length), []
        reported(steps)
        learning_reports(Watched(steps))
        counts.append(sum(looked))
    assert counts[0] == counts[1]


def test_one_bad_step_is_no_collapse():
    # The last five: (4 x 0.8 + 0) / 5 = 0.64.
    assert reported(history(reward=[0.8] * 9 + [0.0])) == set()


def test_a_reward_that_never_was_cannot_collapse():
    assert reported(history(reward=[0.05] * 5 + [0.0] * 5)) == set()


@pytest.mark.parametrize(
    ("accuracy", "expected"),
    [(0.2, {"format_only"}), (0.18, {"format_only"}), (0.25, set())],  # at the start 0.2
)
def test_format_without_accuracy(accuracy, expected):
    steps = history(format=[0.1] * 5 + [0.9] * 5, accuracy=[0.2] * 5 + [accuracy] * 5)
    assert reported(steps) == expected


def test_an_accuracy_without_room_to_gain_is_not_reported():
    steps = history(format=[0.8] * 5 + [1.0] * 5, accuracy=[0.98] * 10)
    assert reported(steps) == set()


def test_a_format_that_was_there_from_the_start_is_not_learnt():
    assert reported(history(format=[0.9] * 10, accuracy=[0.2] * 10)) == set()


@pytest.mark.parametrize(("share", "expected"), [(0.06, {"listed_answers"}), (0.04, set())])
def test_listed_answers(share, expected):
    assert reported(history(hedged=[share])) == expected


def test_a_sentence_is_logged_when_a_report_begins(caplog):
    steps = history(hedged=[0.0, 0.2, 0.2])
    with caplog.at_level(logging.WARNING):
        for end in (1, 2, 3):
            steps[end - 1] |= learning_reports(steps[:end])
            log_new_reports(steps[:end])
    (message,) = caplog.messages
    assert message.startswith("tapo, step 2: more than 5% of the answers list several")
    assert "tapo.answer_match" in message
