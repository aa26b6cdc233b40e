from pathlib import Path

import numpy as np
import pytest

from finer1.encoders.texts import TextEncoder
from finer1.evaluation.similarity import (
    Similarity,
    answer_similarities,
    load_similarity,
    relative_similarity,
)

VECTORS = {
    "bird": (0.6, 0.8),
    "object": (0.0, 1.0),
    "elm wren": (1.0, 0.0),
    "wren": (0.8, 0.6),
    "reed tern": (-1.0, 0.0),
    "It is a wren": (0.8, 0.6),
}
"""Cosines with elm wren: bird 0.6, object 0, wren 0.8, reed tern -1."""


@pytest.fixture
def encoded():
    """Texts that the encoder of `plane` was given, in order."""
    return []


@pytest.fixture
def plane(encoded):
    """Similarity by the vectors above, in two dimensions."""

    def encode(texts):
        encoded.extend(texts)
        return np.array([VECTORS.get(text, (0.0, 0.0)) for text in texts])

    return Similarity(TextEncoder("plane", "0123456789abcdef", False, encode))


@pytest.mark.parametrize(
    ("sim_answer", "sim_word", "expected"),
    [
        (0.8, 0.6, 0.5),  # (0.8 - 0.6) / (1 - 0.6)
        (1.0, 0.6, 1.0),
        (0.6, 0.6, 0.0),
        (0.1, 0.6, 0.0),  # below the word: cut at 0
        (0.5, -1.0, 0.75),  # 1.5 / 2
    ],
)
def test_relative_similarity_by_hand(sim_answer, sim_word, expected):
    assert relative_similarity(sim_answer, sim_word) == pytest.approx(expected)


@pytest.mark.parametrize(("sim_answer", "expected"), [(1.0, 1.0), (0.9, 0.0)])
def test_a_truth_that_is_the_word_itself_must_be_hit(sim_answer, expected):
    assert relative_similarity(sim_answer, 1.0) == expected


def test_scores_by_hand(plane):
    # wren: (0.8 - 0.6) / 0.4; tern below the word; with object: 0.8 / 1.
    scores = plane.score(
        ["wren", "reed tern", "elm wren", "wren"],
        ["elm wren"] * 4,
        ["bird", "bird", "bird", "object"],
    )
    assert scores == pytest.approx([0.5, 0, 1, 0.8])


def test_each_text_is_encoded_once_beside_the_truths(plane, encoded):
    plane.score(["wren", "wren"] * 50, ["elm wren"] * 100, ["bird"] * 100)
    assert sorted(encoded) == ["bird", "elm wren", "wren"]


@pytest.mark.parametrize("answer", [None, "", "?", " - "])
def test_no_answer_is_0_in_the_headline_and_not_encoded(plane, encoded, answer):
    # The encoder's vector of no text could lie anywhere.
    scores = plane.score_answers([answer, "wren"], ["elm wren"] * 2, ["bird"] * 2)
    assert scores == pytest.approx([0, 0.5])
    assert sorted(encoded) == ["bird", "elm wren", "wren"]


def test_nothing_but_missing_answers_needs_no_encoder(plane, encoded):
    assert plane.score_answers([None], ["elm wren"], ["bird"]) == [0.0]
    assert encoded == []


@pytest.mark.parametrize("answer", ["Elm Wren.", "the elm-wren", "elm_wren"])
def test_an_answer_that_is_strictly_right_has_1(plane, answer):
    assert plane.score_answers([answer], ["Elm Wren"], ["bird"]) == [1.0]


def test_nothing_to_score_is_nothing(plane):
    assert plane.score([], [], []) == []


def test_the_name_holds_the_hash(plane):
    assert plane.name == "plane (sha256 0123456789ab)"


def test_headline_and_paper_of_a_question(plane, ask, predict):
    # No answer: headline 0. Paper: whole output against object, (0.8 - 0) / 1.
    question = ask()
    found = answer_similarities([question], [predict(question, "It is a wren")], plane)
    assert found[question.id].headline == 0
    assert found[question.id].paper == pytest.approx(0.8)


def test_closed_and_unanswered_questions_have_no_similarity(plane, ask, predict):
    closed, open_ = ask(setting="closed"), ask()
    assert answer_similarities([closed, open_], [predict(closed, "elm wren")], plane) == {}


def test_character_ngrams_are_labelled_as_spelling():
    assert "(spelling alone, sha256 " in load_similarity("char_ngrams", Path(), "cpu").name


def test_character_ngrams_order_answers_by_spelling():
    similarity = load_similarity("char_ngrams", Path(), "cpu")
    answers = ["Laysan Albatross", "Sooty Albatross", "Boxer", "\ud800", "\0"]
    scores = similarity.score(answers, ["Laysan Albatross"] * 5, ["bird"] * 5)
    assert scores[0] == pytest.approx(1)
    assert scores[0] > scores[1] > scores[2]
    assert scores[3:] == [0, 0]
