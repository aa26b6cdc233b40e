import numpy as np
import pytest

from finer1.encoders.texts import TextEncoder
from finer1.evaluation.policies import POLICIES, answered, score_policies
from finer1.evaluation.scored_file import ScoredRow
from finer1.evaluation.similarity import Similarity

OPTIONS = ("elm wren", "oak wren", "ash wren", "fir wren")


def rows(count):
    """Questions whose truth is stored first, as in the release."""
    return [
        ScoredRow(f"photos/{number}.jpg", "What bird is this?", OPTIONS[0], "", OPTIONS,
                  category="bird")
        for number in range(count)
    ]  # fmt: skip


def encode_words(texts):
    """Words as dimensions: two wrens have cosine 1/2, a wren and a bird 0."""
    words = ("elm", "oak", "ash", "fir", "wren", "bird", "object", "what", "is", "this")
    found = np.array([[float(word in text.split()) for word in words] for text in _plain(texts)])
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)


def _plain(texts):
    return [text.lower().replace(",", " ").replace("?", " ") for text in texts]


@pytest.fixture(scope="module")
def scores():
    similarity = Similarity(TextEncoder("words", "0" * 64, True, encode_words))
    return {item.name: item for item in score_policies(rows(400), 0, similarity)}


def test_the_right_option_scores_everything(scores):
    right = scores["the right option"]
    assert (right.closed_paper, right.closed_stored, right.closed_shuffled) == (1, 1, 1)
    assert (right.open_paper, right.open_exact) == (1, 1)
    assert right.similarity == right.similarity_paper == pytest.approx(1)
    assert (right.format_rate, right.hedge_rate) == (1, 0)


def test_the_first_option_scores_everything_until_options_are_shuffled(scores):
    first = scores["the first option"]
    assert (first.closed_paper, first.closed_stored) == (1, 1)
    # A quarter of 400, standard deviation 0.022.
    assert first.closed_shuffled == pytest.approx(0.25, abs=0.09)


def test_a_list_of_all_options_scores_by_the_released_rules_alone(scores):
    everything = scores["all options, as a list"]
    assert (everything.closed_paper, everything.open_paper) == (1, 1)
    assert (everything.closed_stored, everything.closed_shuffled, everything.open_exact) == (
        (0, 0, 0)
    )
    assert everything.hedge_rate == 1
    # Five words of the list, two of the truth: 2 / sqrt(5 * 2).
    assert everything.similarity == pytest.approx(0.4**0.5)


def test_the_super_category_and_the_question_score_nothing(scores):
    for name in ("the super-category", "the question, repeated"):
        row = scores[name]
        assert row.closed_paper == row.closed_stored == row.closed_shuffled == 0
        assert row.open_paper == row.open_exact == 0
        assert row.similarity == 0
        assert (row.format_rate, row.hedge_rate) == (1, 0)


def test_a_random_option_scores_one_in_four(scores):
    row = scores["a random option"]
    assert row.closed_stored == row.open_exact == pytest.approx(0.25, abs=0.09)
    assert row.closed_shuffled == pytest.approx(0.25, abs=0.09)
    # Right: 1; another wren: 1/2.
    assert row.similarity == pytest.approx((1 + row.open_exact) / 2)


def test_the_seed_decides_the_random_answers():
    policy = POLICIES["a random option"]
    texts = [[row.completion for row in answered(rows(20), policy, seed)] for seed in (0, 0, 1)]
    assert texts[0] == texts[1] != texts[2]
