from dataclasses import replace
from types import SimpleNamespace

import pytest

from finer1.evaluation.verdicts import MODELS, Verdict
from finer1.evaluation_params import ModelEntry
from finer1.files import write_atomic
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
    write_atomic(params.paths.taxonomy, b"dataset,group,label\n")
    tables = {}
    return SimpleNamespace(
        params=params, tables=tables, log_table=tables.__setitem__, home=tmp_path
    )


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


def test_score_gives_similarities_with_their_encoder(scored):
    # Two of three openly asked seen classes are a wren: elm wren is right, ash wren is alike.
    metrics = score(scored)
    low, high = 1 / 3, 1
    assert low < metrics["tapo/open/seen/similarity"] < high
    assert metrics["tapo/w/open/seen/similarity_paper"] > low
    (row,) = scored.tables["similarity_encoder"]
    assert (row["encoder"], row["knows"]) == ("char_ngrams", "spelling alone")


def test_the_accuracy_of_each_class_is_a_table(scored):
    score(scored)
    rows = [row for row in scored.tables["classes"] if row["model"] == "tapo"]
    assert len(rows) == 2 * len(LABELS)  # closed and open
    accuracy = {row["label"]: row["accuracy"] for row in rows if row["setting"] == "open"}
    assert accuracy == {label: float(label == "elm wren") for label in LABELS}


def test_levels_come_from_the_file_where_it_has_rows(scored):
    rows = ["dataset,genus,label", *(f"w,{label.split()[1]},{label}" for label in LABELS)]
    write_atomic(scored.params.paths.taxonomy, "\n".join(rows).encode())
    metrics = score(scored)
    # elm wren for three wrens, seen, and for the tern.
    assert metrics["tapo/open/seen/level_genus"] == 1
    assert metrics["tapo/open/unseen/level_genus"] == 0


def test_a_taxonomy_with_another_sub_category_is_refused(scored):
    write_atomic(scored.params.paths.taxonomy, b"dataset,genus,label\nw,wren,Elm Wrenn\n")
    with pytest.raises(ValueError, match=r"taxonomy\.csv:2: 'elm wrenn' is no sub-category of w"):
        score(scored)


def test_the_taxonomy_is_read_before_anything_is_encoded(scored):
    settings = scored.params.score.model_copy(update={"encoder": "unknown"})
    scored.params = scored.params.model_copy(update={"score": settings})
    write_atomic(scored.params.paths.taxonomy, b"dataset,genus,label\nw,wren,Elm Wrenn\n")
    with pytest.raises(ValueError, match="elm wrenn"):
        score(scored)


@pytest.fixture
def with_clip(scored):
    """A further model that answers the closed questions alone, all of them rightly."""
    entry = ModelEntry(model="finer1/zoo/clip.yaml", strategy="direct", max_tokens=None)
    predict = scored.params.predict.model_copy(update={"models": {"clip": entry}})
    scored.params = scored.params.model_copy(update={"predict": predict})
    rows = [
        replace(
            Prediction(item.id, "clip", "h", "", answer_completion(item.label), 0, "stop"),
            strategy="zero_shot",
        )
        for item in read_jsonl(scored.params.paths.questions, Question)
        if item.setting == "closed"
    ]
    write_jsonl(scored.params.paths.predictions / "clip.jsonl", rows)
    return scored


def test_a_further_model_is_scored_and_compared_where_it_was_asked(with_clip):
    metrics = score(with_clip)
    assert metrics["clip/closed/seen/accuracy"] == 1
    assert metrics["tapo-clip/closed/seen/difference"] == pytest.approx(1 / 3 - 1)
    assert "clip/open/seen/accuracy" not in metrics
    rows = read_jsonl(with_clip.params.paths.verdicts, Verdict)
    assert sum(row.model == "clip" for row in rows) == 4


def test_a_further_model_that_was_asked_everything_must_answer_everything(with_clip):
    path = with_clip.params.paths.predictions / "clip.jsonl"
    write_jsonl(path, [replace(row, strategy="direct") for row in read_jsonl(path, Prediction)])
    with pytest.raises(ValueError, match=r"clip\.jsonl: 4 questions have no prediction"):
        score(with_clip)


def test_accuracy_on_corrupted_images_is_scored(scored):
    entry = ModelEntry(model="models/tapo", strategy="trained", max_tokens=None)
    robustness = scored.params.robustness.model_copy(update={"models": {"tapo": entry}})
    scored.params = scored.params.model_copy(update={"robustness": robustness})
    asked = read_jsonl(scored.params.paths.questions, Question)
    rows = [
        Prediction(f"{item.id}#{cell}", "tapo", "h", "", answer_completion(answer), 3, "stop")
        for item in asked
        if item.setting == "open"
        for cell, answer in (("none/0", item.label), ("fog/1", "elm wren"))
    ]
    write_jsonl(scored.params.paths.predictions / "robustness@tapo.jsonl", rows)
    metrics = score(scored)
    assert metrics["tapo/robustness/none/0/accuracy"] == 1
    assert metrics["tapo/robustness/fog/1/accuracy"] == 1 / 4


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
