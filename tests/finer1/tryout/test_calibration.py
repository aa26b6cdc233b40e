import json

import pytest

from finer1.params import load_params
from finer1.tryout.calibration import Calibration, find_calibration

VOTES = {
    "tapo/votes/n": 10.0,
    "tapo/votes/ece": 0.125,
    "tapo/votes/bin_0/n": 0,
    "tapo/votes/bin_3/n": 4,
    "tapo/votes/bin_3/accuracy": 0.75,
    "tapo/votes/bin_4/n": 6,
    "tapo/votes/bin_4/accuracy": 1.0,
}


@pytest.fixture
def paths(repository):
    return load_params(repository / "params.yaml").paths


def evaluated(home, paths, identity, votes=("a", "b")):
    """A project whose stage `score` counted votes of the model of an identity."""
    (home / paths.metrics).mkdir(parents=True)
    (home / paths.predictions).mkdir(parents=True)
    (home / paths.metrics / "score.json").write_text(json.dumps(VOTES))
    rows = [{"identity": identity, "votes": []}, {"identity": identity, "votes": list(votes)}]
    text = "".join(f"{json.dumps(row)}\n" for row in rows)
    (home / paths.predictions / "tapo.jsonl").write_text(text)


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.6001, "above 60, to 80 %) were right 75.0 % of the time, 4 questions"),
        (0.8, "above 60, to 80 %) were right 75.0 % of the time, 4 questions"),
        (1.0, "above 80, to 100 %) were right 100.0 % of the time, 6 questions"),
        (0.2, "no answer had a share of the votes like this (above 0, to 20 %)"),
    ],
)
def test_a_share_is_told_by_the_bin_that_it_is_in(share, words):
    sentence = Calibration("tapo", VOTES, 4, 0.7).sentence(share, 4, 0.7)
    assert words in sentence
    assert "over all 10 questions, 4 votes each" in sentence
    assert "12.5 points apart" in sentence


@pytest.mark.parametrize(("samples", "temperature"), [(5, 0.7), (4, 1.0)])
def test_votes_drawn_in_another_way_are_not_compared(samples, temperature):
    sentence = Calibration("tapo", VOTES, 4, 0.7).sentence(0.8, samples, temperature)
    assert "with 4 votes at temperature 0.7 only; set these to compare" in sentence
    assert "%" not in sentence


def test_the_evaluation_of_the_same_weights_counts_whatever_their_number_format(tmp_path, paths):
    evaluated(tmp_path, paths, "transformers:float32:abc")
    found = find_calibration(paths, tmp_path, "transformers:bfloat16:abc", 0.7)
    assert (found.model, found.samples, found.temperature) == ("tapo", 2, 0.7)


def test_the_evaluation_of_another_model_does_not_count(tmp_path, paths):
    evaluated(tmp_path, paths, "transformers:float32:abc")
    assert find_calibration(paths, tmp_path, "transformers:float32:abd", 0.7) is None


def test_without_votes_or_evaluation_nothing_was_measured(tmp_path, paths):
    assert find_calibration(paths, tmp_path, "transformers:float32:abc", 0.7) is None
    evaluated(tmp_path, paths, "transformers:float32:abc", votes=())
    assert find_calibration(paths, tmp_path, "transformers:float32:abc", 0.7) is None
