from types import SimpleNamespace

import pytest

from finer1.evaluation.verdicts import MODELS, Verdict
from finer1.params import load_params
from finer1.prompts import answer_completion
from finer1.records import (
    ImageRecord,
    Prediction,
    Question,
    SplitRecord,
    read_jsonl,
    write_jsonl,
)
from tasks.questions import questions
from tasks.score import score

LABELS = ("ash wren", "elm wren", "oak wren", "reed tern")


@pytest.fixture
def context(repository, tmp_path):
    """Splits of four classes, the first three seen, one test image each; logged tables kept."""
    params = load_params(repository / "params.yaml")
    paths = {
        name: tmp_path / getattr(params.paths, name) for name in type(params.paths).model_fields
    }
    params = params.model_copy(update={"paths": params.paths.model_copy(update=paths)})
    rows = []
    for place, label in enumerate(LABELS):
        record = ImageRecord(f"w/{label}", "w", "bird", label, None, "0" * 64, "0" * 16, "test")
        rows.append(SplitRecord(record, seen=place < 3, part="test"))
    write_jsonl(params.paths.splits, rows)
    tables = {}
    return SimpleNamespace(params=params, tables=tables, log_table=tables.__setitem__)


@pytest.fixture
def scored(context):
    """The same context after every model has answered elm wren to every question."""
    questions(context)
    asked = read_jsonl(context.params.paths.questions, Question)
    for model in MODELS:
        rows = [
            Prediction(item.id, model, "h", item.text, answer_completion("elm wren"), 3, "stop")
            for item in asked
        ]
        write_jsonl(context.params.paths.predictions / f"{model}.jsonl", rows)
    return context


def test_questions_counts_images_and_classes(context):
    metrics = questions(context)
    assert metrics["questions/count"] == 8
    assert (metrics["questions/images_seen"], metrics["questions/images_unseen"]) == (3, 1)
    assert metrics["questions/options_from_random"] == 4  # no groups are known


def test_score_writes_a_verdict_per_question_and_model(scored):
    score(scored)
    verdicts = read_jsonl(scored.params.paths.verdicts, Verdict)
    assert len(verdicts) == 8 * len(MODELS)
    assert sum(row.is_correct for row in verdicts) == 2 * len(MODELS)


def test_score_gives_the_documented_keys(scored):
    metrics = score(scored)
    assert metrics["tapo/open/seen/accuracy"] == pytest.approx(1 / 3)
    assert metrics["tapo/open/unseen/accuracy"] == 0
    assert metrics["tapo-sft/open/unseen/difference"] == 0
    assert metrics["confidence"] == scored.params.score.confidence


def test_score_logs_confusions(scored):
    score(scored)
    first = scored.tables["confusions"][0]
    # Asked openly and closed, ash wren is answered with elm wren twice.
    assert first == {
        "model": "base",
        "category": "bird",
        "truth": "ash wren",
        "answered": "elm wren",
        "times": 2,
    }


def test_two_scores_of_the_same_predictions_are_equal(scored):
    assert score(scored) == score(scored)


def test_predictions_of_other_questions_are_refused_with_their_file(scored):
    path = scored.params.paths.predictions / "sft.jsonl"
    write_jsonl(path, read_jsonl(path, Prediction)[1:])
    with pytest.raises(ValueError, match=r"sft\.jsonl: 1 questions have no prediction"):
        score(scored)
