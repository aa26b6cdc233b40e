import shutil
import subprocess
import sys
from collections import Counter

import pytest

from finer1.evaluation.asking import choose_images
from finer1.records import Prediction, Question, read_jsonl
from tasks.download import download
from tasks.predict import predict
from tasks.questions import questions
from tasks.split import split


@pytest.mark.parametrize("words", [[], ["grpo"], ["base", "sft"]])
def test_a_wrong_model_is_bad_input(repository, words):
    done = subprocess.run(
        [sys.executable, "-m", "tasks.predict", *words],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "usage: python -m tasks.predict {base,sft,tapo}\n"


@pytest.mark.slow
def test_votes_are_drawn_for_the_chosen_questions_of_the_chosen_models_alone(
    make_context, own_images, tiny_model, logged
):
    changes = own_images[1] | {
        "questions.images_per_class": 2,
        "predict.max_tokens": 4,
        "predict.votes.samples": 2,
        "predict.votes.images_per_class": 1,
        "predict.votes.models": ["tapo"],
    }
    context = make_context("predict@tapo", changes)
    for body in (download, split, questions):
        body(context)
    paths = context.params.paths
    for model in ("base", "tapo"):
        shutil.copytree(tiny_model, getattr(paths, model))
        predict(context, model)
    rows = {
        model: read_jsonl(paths.predictions / f"{model}.jsonl", Prediction)
        for model in ("base", "tapo")
    }
    assert {row.votes for row in rows["base"]} == {()}
    asked = {item.id: item for item in read_jsonl(paths.questions, Question)}
    shown = logged.tables["samples"]
    # 4 sub-categories of two test images, one open question each.
    assert len({row["question_id"] for row in shown}) == 8
    assert {asked[row["question_id"]].setting for row in shown} == {"open"}
    assert all(row["label"] == asked[row["question_id"]].label for row in shown)
    chosen = choose_images(asked.values(), 1, context.params.seed, "voted image")
    for row in rows["tapo"]:
        is_voted = asked[row.question_id].image_id in chosen
        assert len(row.votes) == (2 if is_voted else 0)
    # 4 sub-categories, an image each, a closed and an open question; as many are asked once.
    assert Counter(len(row.votes) for row in rows["tapo"]) == {2: 8, 0: 8}
    # The greedy completions do not depend on them.
    assert [row.completion for row in rows["base"]] == [row.completion for row in rows["tapo"]]
