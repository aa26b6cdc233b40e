import pytest

from finer1.evaluation.votes import count_votes, vote_metrics


def test_the_most_frequent_answer_wins_whatever_its_spelling():
    vote = count_votes(["oak wren", "Elm Wren", "elm-wren.", None])
    assert (vote.answer, vote.share) == ("elm wren", 0.5)
    assert vote.is_answer("Elm Wren")


def test_the_first_of_equally_frequent_answers_wins():
    assert count_votes(["oak wren", "elm wren", "elm wren", "oak wren"]).answer == "oak wren"


def test_samples_without_an_answer_vote_for_no_name():
    vote = count_votes([None, "elm wren", None])
    assert (vote.answer, vote.share) == (None, 2 / 3)
    assert not vote.is_answer("")


def test_calibration_by_hand():
    # Bins of width 0.2, upper edge inside: 0.6 is in the third, 1.0 in the fifth.
    metrics = vote_metrics("tapo", [(1.0, True), (1.0, False), (0.6, True), (0.5, False)])
    assert metrics["tapo/votes/n"] == 4
    assert metrics["tapo/votes/accuracy"] == 0.5
    assert [metrics[f"tapo/votes/bin_{i}/n"] for i in range(5)] == [0, 0, 2, 0, 2]
    assert metrics["tapo/votes/bin_2/share"] == pytest.approx(0.55)
    assert metrics["tapo/votes/bin_4/accuracy"] == 0.5
    # 2/4 * |0.55 - 0.5| + 2/4 * |1 - 0.5|
    assert metrics["tapo/votes/ece"] == pytest.approx(0.275)


def test_every_share_is_in_the_bin_that_it_ends():
    shares = [0.2, 0.4, 3 / 5, 0.8, 1.0]
    metrics = vote_metrics("tapo", [(share, True) for share in shares])
    assert [metrics[f"tapo/votes/bin_{i}/share"] for i in range(5)] == pytest.approx(shares)


def test_an_empty_bin_has_its_number_alone():
    metrics = vote_metrics("tapo", [(1.0, True)])
    assert "tapo/votes/bin_0/accuracy" not in metrics


def test_without_votes_there_are_no_metrics():
    assert vote_metrics("tapo", []) == {}
