import pytest

from finer1.evaluation.answers import is_exact
from finer1.evaluation.reading import read_completion
from finer1.prompts import answer_completion, rationale_completion, sections_text
from finer1.tapo.rewards import score_completion

LABELS = ("Petunia", "Mexican Petunia", "Sweet Pea")
GOLD = rationale_completion(
    sections_text("long petals", LABELS[:2], "the first fits", "Petunia"), "Petunia"
)


@pytest.fixture
def score(settings):
    def compute(text, label="Petunia", **changes):
        return score_completion(text, label, LABELS, settings.model_copy(update=changes))

    return compute


def test_the_gold_completion_scores_one(score):
    reward = score(GOLD)
    assert (reward.total, reward.accuracy, reward.format) == (1.0, 1.0, 1.0)
    assert reward.is_parsed
    assert reward.is_truth_among_options
    assert reward.is_answer_predicted
    assert not reward.is_hedged


def test_an_answer_that_lists_every_option_earns_no_accuracy(score):
    reward = score(GOLD.replace(answer_completion("Petunia"), answer_completion(", ".join(LABELS))))
    assert reward.accuracy == 0
    assert reward.is_hedged


def test_the_papers_rule_pays_for_a_list(score):
    listed = answer_completion(", ".join(LABELS))
    assert score(listed, answer_match="inclusion").accuracy == 1


def test_a_longer_name_is_not_the_shorter_one(score):
    assert score(answer_completion("Mexican Petunia")).accuracy == 0
    assert not score(answer_completion("Mexican Petunia")).is_hedged


def test_the_answer_alone_has_no_format_by_sections(score):
    # 0.9 x 1 + 0.1 x 0.
    assert score(answer_completion("petunia")).total == pytest.approx(0.9)


def test_tags_suffice_for_the_papers_format(score):
    text = "<think>no sections</think><answer>Rose</answer>"
    assert score(text, format_rule="tags").total == pytest.approx(0.1)
    assert score(text).total == 0


def test_an_open_answer_is_unparsed(score):
    reward = score("<think>x</think><answer>Petunia")
    assert not reward.is_parsed
    assert reward.total == 0


def test_answer_and_prediction_are_compared(score):
    other = GOLD.replace("<prediction>Petunia", "<prediction>Sweet Pea")
    assert not score(other).is_answer_predicted
    assert score(other).accuracy == 1


def test_the_accuracy_weight_splits_the_reward(score):
    assert score(answer_completion("Petunia"), accuracy_weight=0.25).total == pytest.approx(0.25)


# No-Thinking-RL: the completion is the answer, the reward is that it is right.
DIRECT = {"strategy": "direct", "accuracy_weight": 1.0}


@pytest.mark.parametrize(
    ("text", "total"),
    [
        ("Petunia", 1),
        (" the petunia.\n", 1),  # after normalisation
        (answer_completion("Petunia"), 1),  # as evaluation reads it
        ("Mexican Petunia", 0),
        ("It is a Petunia", 0),
        ("Petunia, Sweet Pea", 0),
        ("<answer>Petunia", 0),
        ("", 0),
    ],
)
def test_a_direct_answer_earns_what_evaluation_counts_as_exact(score, text, total):
    reward = score(text, **DIRECT)
    assert (reward.total, reward.accuracy) == (total, total)
    assert is_exact(read_completion(text, "text"), "Petunia") == bool(total)


def test_a_name_without_tags_is_no_answer_where_tags_are_asked_for(score):
    assert score("Petunia", strategy="think").accuracy == 0
    assert not score("Petunia").is_parsed
    assert score("Petunia", **DIRECT).is_parsed
    assert not score(" ", **DIRECT).is_parsed


def test_a_direct_answer_may_be_a_hedge(score):
    assert score("Petunia or Sweet Pea", **DIRECT).is_hedged


@pytest.mark.parametrize(
    ("text", "total"),
    [
        # 0.5 x accuracy + 0.5 x format.
        ("<think>long petals</think>\n<answer>petunia</answer>", 1.0),
        ("<think>long petals</think><answer>Sweet Pea</answer>", 0.5),
        ("<answer>Petunia</answer>", 0.5),
        ("Well, <think>x</think><answer>Petunia</answer>", 0.5),
        ("Petunia", 0.0),
    ],
)
def test_cls_rl_pays_for_accuracy_and_for_format_alike(score, text, total):
    changes = {"strategy": "think", "accuracy_weight": 0.5, "format_rule": "tags"}
    assert score(text, **changes).total == total
