import pytest

from finer1.evaluation.statistics import Bootstrap
from finer1.prompts import answer_completion
from finer1.records import Prediction, Question
from finer1.robustness.cells import corrupted_id
from finer1.robustness.scores import robustness_metrics

BOOTSTRAP = Bootstrap(200, 0.95, 0)
LABELS = ("ash wren", "elm wren", "oak wren", "reed tern")
QUESTIONS = [
    Question(
        f"open/w/{label}#1.png", f"w/{label}#1.png", "bird", label, True, "open", "?", (), "open"
    )
    for label in LABELS
]


def rows(cell, num_right):
    """Predictions for every question in a cell, the first `num_right` of them right."""
    return [
        Prediction(
            corrupted_id(question.id, cell),
            "tapo",
            "hash",
            "?",
            answer_completion(question.label if place < num_right else "something else"),
            5,
            "stop",
        )
        for place, question in enumerate(QUESTIONS)
    ]


@pytest.fixture(scope="module")
def metrics():
    """Clean 4 of 4 right; fog 3 and 1; contrast 4 and 2."""
    predictions = [
        *rows(("fog", 1), 3),
        *rows(("fog", 5), 1),
        *rows(("contrast", 1), 4),
        *rows(("contrast", 5), 2),
        *rows(("none", 0), 4),
    ]
    return robustness_metrics("tapo", QUESTIONS, predictions, BOOTSTRAP)


def test_each_cell_has_its_accuracy(metrics):
    assert metrics["tapo/robustness/none/0/accuracy"] == 1.0
    assert metrics["tapo/robustness/fog/1/accuracy"] == 0.75
    assert metrics["tapo/robustness/fog/5/accuracy"] == 0.25
    assert metrics["tapo/robustness/contrast/5/n"] == 4


def test_the_mean_is_over_corruptions_at_a_severity(metrics):
    assert metrics["tapo/robustness/mean/1/accuracy"] == 0.875
    assert metrics["tapo/robustness/mean/5/accuracy"] == 0.375


def test_relative_is_the_mean_over_all_cells_as_a_share_of_the_clean_one(metrics):
    # (0.75 + 0.25 + 1 + 0.5) / 4 = 0.625, of 1.
    assert metrics["tapo/robustness/relative"] == 0.625


def test_intervals_are_over_classes(metrics):
    key = "tapo/robustness/fog/5"
    assert 0 <= metrics[f"{key}/low"] < 0.25 < metrics[f"{key}/high"] <= 1
    assert metrics["tapo/robustness/none/0/low"] == 1.0


def test_without_a_right_clean_answer_nothing_is_relative():
    predictions = [*rows(("none", 0), 0), *rows(("fog", 1), 1)]
    metrics = robustness_metrics("tapo", QUESTIONS, predictions, BOOTSTRAP)
    assert "tapo/robustness/relative" not in metrics


def test_questions_that_were_not_asked_are_left_out():
    other = Question("open/w/x", "w/x", "bird", "ash wren", True, "open", "?", (), "open")
    predictions = [*rows(("none", 0), 4), *rows(("fog", 1), 2)]
    metrics = robustness_metrics("tapo", [other, *QUESTIONS], predictions, BOOTSTRAP)
    assert metrics["tapo/robustness/fog/1/n"] == 4


def test_a_cell_with_other_questions_is_refused():
    predictions = [*rows(("none", 0), 4), *rows(("fog", 1), 2)[:3]]
    with pytest.raises(ValueError, match="robustness@tapo, fog at severity 1: 1 questions have no"):
        robustness_metrics("tapo", QUESTIONS, predictions, BOOTSTRAP)


def test_without_clean_images_there_is_nothing_to_compare_with():
    with pytest.raises(ValueError, match="no prediction is about a clean image"):
        robustness_metrics("tapo", QUESTIONS, rows(("fog", 1), 2), BOOTSTRAP)
