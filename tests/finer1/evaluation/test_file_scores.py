import pytest

from finer1.evaluation.file_scores import find_warnings, score_file
from finer1.evaluation.file_verdicts import judge_file
from finer1.evaluation.scored_file import ScoredRow
from finer1.evaluation.statistics import Bootstrap
from finer1.evaluation.taxonomy import Taxonomy

BOOTSTRAP = Bootstrap(samples=200, confidence=0.95, seed=0)
OPTIONS = ("elm wren", "oak wren", "reed tern")


def tagged(answer):
    return f"<think>a b</think><answer>{answer}</answer>"


def row(truth, completion, options=OPTIONS, question="What?", **fields):
    return ScoredRow("photos/1.jpg", question, truth, completion, options, **fields)


def warn(rows, setting="closed", protocol="shuffled"):
    return find_warnings(rows, judge_file(rows, setting, protocol, None))


def score(rows, setting="closed", protocol="shuffled", taxonomy=None):
    return score_file(judge_file(rows, setting, protocol, None), BOOTSTRAP, taxonomy)


MIXED = [
    row("elm wren", tagged("elm wren")),
    row("elm wren", tagged("elm wren, oak wren, reed tern")),
    row("elm wren", tagged("Elm-Wren")),
    row("oak wren", tagged("elm wren")),
    row("oak wren", "oak wren"),
]
"""Exact: 1, 0, 1, 0, 0. Released rule: 1, 1, 0, 0, 0."""


@pytest.mark.parametrize(
    ("protocol", "accuracy", "macro"), [("shuffled", 1 / 3, 1 / 4), ("paper", 2 / 3, 1 / 2)]
)
def test_the_protocol_decides_the_accuracy(protocol, accuracy, macro):
    # Elm wrens: 1 and 0, or 1 and 1 by the released rule; the oak wren: 0.
    scores = score([*MIXED[:2], MIXED[3]], protocol=protocol)
    assert (scores["n"], scores["classes"]) == (3, 2)
    assert scores["accuracy"] == pytest.approx(accuracy)
    assert scores["macro_accuracy"] == pytest.approx(macro)
    assert scores["low"] <= scores["accuracy"] <= scores["high"]


def test_both_rules_stand_side_by_side():
    rows = MIXED[:2]
    assert score(rows)["accuracy_exact"] == 1 / 2
    assert score(rows)["accuracy_paper"] == 1


def test_form_hedges_and_lengths():
    scores = score(MIXED)
    assert scores["format_rate"] == scores["answered_rate"] == 4 / 5
    assert scores["sectioned_rate"] == 0
    assert scores["hedge_rate"] == 1 / 5
    # Words: the tags stick to them. 3, 7, 2, 3 and 2; `Elm-Wren` is one.
    assert scores["words_mean"] == pytest.approx(17 / 5)
    assert scores["words_median"] == 3


def test_the_position_report_has_every_place():
    position = score(MIXED)["position"]
    # Truths at 1, 1, 1, 2, 2; answers at 1, none, 1, 1, none.
    assert position["always_first"] == 3 / 5
    assert position["answered_none"] == 2 / 5
    assert position["places"] == {
        "1": {"n": 3, "accuracy": pytest.approx(2 / 3), "answered": 3 / 5},
        "2": {"n": 2, "accuracy": 0, "answered": 0},
        "3": {"n": 0, "accuracy": None, "answered": 0},
    }


def test_text_inclusion_is_the_accuracy_of_open_questions():
    scores = score(MIXED, "open", "paper")
    assert scores["text_inclusion"] == scores["accuracy"] == 3 / 5  # the last is included, too
    assert (scores["text_inclusion_exact"], scores["text_inclusion_paper"]) == (2 / 5, 3 / 5)
    assert "position" not in scores


def test_datasets_and_sides_have_numbers_of_their_own():
    rows = [
        row("elm wren", tagged("elm wren"), dataset="garden", seen=True),
        row("oak wren", tagged("elm wren"), dataset="garden", seen=False),
        row("oak wren", tagged("elm wren")),
    ]
    groups = score(rows)["groups"]
    found = {name: (part["n"], part["accuracy"]) for name, part in groups.items()}
    assert found == {
        "garden": (2, 0.5),
        "garden/seen": (1, 1),
        "garden/unseen": (1, 0),
        "seen": (1, 1),
        "unseen": (1, 0),
    }


def test_equal_names_of_two_datasets_are_two_classes():
    rows = [row("elm wren", tagged("x"), dataset=name) for name in ("garden", "park")]
    assert score(rows)["classes"] == 2


def test_levels_of_a_taxonomy():
    wrens = {("", f"{tree} wren"): ("wren", f"{tree} wren") for tree in ("elm", "oak")}
    taxonomy = Taxonomy(("kind", "label"), wrens, {("", "wren"): (("wren",),)})
    scores = score([*MIXED[3:4], row("reed tern", tagged("x"))], taxonomy=taxonomy)
    # The oak wren was taken for an elm wren: a wren at least; terns are not in the taxonomy.
    assert (scores["level_kind"], scores["level_label"]) == (1, 0)
    assert (scores["common_prefix"], scores["levels_missing"]) == (1 / 2, 1)


def test_a_truth_that_is_always_first_is_warned_of():
    first = [row("elm wren", tagged("oak wren"), question=f"What {n}?") for n in range(2)]
    (warning,) = warn(first)
    assert "always naming the first one scores 100 %" in warning
    assert warn([*first, MIXED[3]]) == []


@pytest.mark.parametrize(
    ("setting", "protocol", "outcome"),
    [("closed", "paper", "wrong"), ("open", "shuffled", "wrong"), ("open", "paper", "whole")],
)
def test_completions_without_an_answer_are_counted(setting, protocol, outcome):
    rows = [row("oak wren", tagged("x"), category="bird"), row("oak wren", "x", category="bird")]
    *_, warning = warn(rows, setting, protocol)
    assert warning.startswith("1 of 2 completions have no answer in tags")
    assert outcome in warning


@pytest.mark.parametrize(
    ("protocol", "completion", "answered"),
    [
        ("shuffled", tagged(""), 0),
        ("shuffled", tagged("?"), 0),  # nothing is left of it after normalisation
        ("shuffled", tagged("a") * 2, 0),  # not one answer
        ("paper", tagged(""), 0),
        ("paper", tagged("?"), 1),
        ("paper", tagged("a") * 2, 1),  # from the first tag to the last
    ],
)
def test_an_empty_answer_is_none_by_the_protocols_own_reading(protocol, completion, answered):
    rows = [row("oak wren", completion)]
    assert score(rows, "closed", protocol)["answered_rate"] == answered
    assert len(warn(rows, "closed", protocol)) == 1 - answered


def test_open_rows_that_name_no_category_are_warned_of():
    rows = [
        row("elm wren", tagged("x"), question="1"),
        row("elm wren", tagged("x"), question="2", category="bird"),
        row("elm wren", tagged("x"), question="3", dataset="bird"),
    ]
    (warning,) = warn(rows, "open")
    assert warning.startswith("1 of 3 rows name no category: compared with `object`")
    assert not any("category" in text for text in warn(rows, "closed"))  # Eq. 5 is of open ones


def test_repeated_questions_are_warned_of():
    (warning,) = warn([MIXED[3]] * 3)
    assert warning.startswith("2 of 3 rows repeat the image and question of another row")
