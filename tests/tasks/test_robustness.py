"""The stage robustness on own images, the tiny random model and a tiny random CLIP model."""

import json

import pytest

from finer1.evaluation.statistics import Bootstrap
from finer1.records import Prediction, Question, read_jsonl
from finer1.robustness.scores import robustness_metrics
from tasks.download import download
from tasks.questions import questions
from tasks.robustness import robustness
from tasks.split import split

CLIP_ENTRY = """
title: tiny
kind: clip
model: open_clip:{name}
commit: null
adapter: null
prompts: null
answer_from: tags
tried: {{open_clip: random weights}}
notes: ""
"""


@pytest.fixture
def run(make_context, own_images):
    """Ask a model about damaged images, with further changes; (metrics, rows, context)."""
    base = own_images[1] | {
        "robustness.corruptions": ["fog", "pixelate"],
        "robustness.severities": [1, 5],
        "robustness.images_per_class": 1,
        "questions.images_per_class": 2,
    }

    def run(model, strategy="trained", max_tokens=None, **more):
        named = {key.replace("__", "."): value for key, value in more.items()}
        entry = {"model": str(model), "strategy": strategy, "max_tokens": max_tokens}
        named |= {"robustness.models": {"asked": entry}}
        context = make_context("robustness@asked", base | named)
        if not context.params.paths.questions.exists():
            for body in (download, split, questions):
                body(context)
        metrics = robustness(context, "asked")
        path = context.params.paths.predictions / "robustness@asked.jsonl"
        return metrics, read_jsonl(path, Prediction), context

    return run


def test_an_unknown_model_is_named_with_the_known_ones(make_context):
    context = make_context("robustness@x", {"robustness.models": {}})
    with pytest.raises(ValueError, match="robustness.models has no x; it has none"):
        robustness(context, "x")


def test_an_unknown_corruption_is_refused_before_anything_is_read(make_context):
    with pytest.raises(ValueError, match="robustness.corruptions.0: Input should be 'gaussian_noi"):
        make_context("robustness@x", {"robustness.corruptions": ["rain"]})


def test_a_clip_model_is_not_asked_openly(make_context, tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(CLIP_ENTRY.format(name="ViT-L-14:openai"), encoding="utf-8")
    entry = {"model": str(path), "strategy": "trained", "max_tokens": None}
    context = make_context("robustness@x", {"robustness.models": {"x": entry}})
    with pytest.raises(
        ValueError, match="robustness.models.x is a CLIP model, .*setting to closed"
    ):
        robustness(context, "x")


@pytest.mark.slow
def test_each_copy_is_asked_about_once(run, tiny_model, capsys):
    metrics, rows, context = run(tiny_model, predict__max_tokens=6)
    asked = read_jsonl(context.params.paths.questions, Question)
    # 4 sub-categories, 1 image each, clean and in 2 corruptions at 2 severities.
    assert metrics["robustness/questions"] == len(rows) == 4 * 5
    assert {row.model for row in rows} == {"asked"}
    assert {row.question_id.rpartition("#")[2] for row in rows} == {
        "none/0", "fog/1", "fog/5", "pixelate/1", "pixelate/5",
    }  # fmt: skip
    scores = robustness_metrics("asked", asked, rows, Bootstrap(50, 0.95, 0))
    assert scores["asked/robustness/fog/5/n"] == 4
    assert "robustness@asked: 20/20 prompts" in capsys.readouterr().err


@pytest.mark.slow
def test_an_entry_may_set_the_longest_completion(run, tiny_model, caplog):
    metrics, rows, _ = run(tiny_model, max_tokens=2, predict__max_tokens=6)
    assert {row.num_tokens for row in rows} <= {1, 2}
    cut_off = metrics["robustness/cut_off"]
    assert (
        f"robustness@asked: {cut_off} of 20 completions were cut off after 2 tokens; raise "
        "max_tokens" in caplog.messages
    )


@pytest.mark.slow
def test_what_was_answered_is_not_asked_again(run, tiny_model, logged):
    _, rows, context = run(tiny_model, predict__max_tokens=6)
    made = [line for file in context.store.glob("*.jsonl") for line in file.open()]
    logged.metrics.clear()
    _, again, _ = run(tiny_model, predict__max_tokens=6)
    assert again == rows
    assert made == [line for file in context.store.glob("*.jsonl") for line in file.open()]
    assert not logged.metrics  # no speed, since nothing was made


@pytest.mark.slow
def test_examples_are_shown_undamaged(run, tiny_model):
    _, rows, _ = run(tiny_model, strategy="in_context", predict__max_tokens=4)
    assert {row.strategy for row in rows} == {"in_context"}
    by_question = {}
    for row in rows:
        by_question.setdefault(row.question_id.rpartition("#")[0], set()).add(row.prompt)
    # The same examples go with every copy.
    assert all(len(prompts) == 1 for prompts in by_question.values())


@pytest.mark.slow
def test_a_clip_model_chooses_among_the_options(run, tiny_clip):
    metrics, rows, context = run(tiny_clip, robustness__setting="closed")
    assert metrics["robustness/questions"] == len(rows) == 4 * 5
    assert {row.strategy for row in rows} == {"zero_shot"}
    asked = read_jsonl(context.params.paths.questions, Question)
    scores = robustness_metrics("asked", asked, rows, Bootstrap(50, 0.95, 0))
    assert 0 <= scores["asked/robustness/mean/5/accuracy"] <= 1
    assert json.dumps(scores)
