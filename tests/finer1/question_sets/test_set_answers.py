"""How sets are asked, and what answers to them score."""

import json
from pathlib import Path

import pytest

from finer1.encoders.interface import TextImageEncoder
from finer1.evaluation.clip import clip_rows
from finer1.evaluation.file_scores import score_file
from finer1.evaluation.file_verdicts import judge_file
from finer1.evaluation.scored_file import read_scored
from finer1.evaluation.similarity import load_similarity
from finer1.evaluation.statistics import Bootstrap
from finer1.question_sets.asking import (
    Answered,
    as_question,
    ask_questions,
    image_records,
    shuffled,
)
from finer1.question_sets.interface import QuestionSet, SetQuestion
from finer1.question_sets.output import write_answers
from finer1.question_sets.scores import names_any, score_set
from finer1.records import Prediction
from finer1.zoo.entry import Entry
from finer1.zoo.loading import AskedModel

MODEL = AskedModel("chat", Path("m"), "m", None, None)


def asked(kind="open", references=("elm wren",), options=(), number=0, images=("a.png",)):
    return SetQuestion(
        f"{kind}/{number}", "set:1", kind, images, "Which bird?", options, references, "bird"
    )


def answered(question, completion, answer_from="tags", tokens=4):
    made = Prediction(
        question.id, "m", "id", "prompt", completion, tokens, "stop", "trained", answer_from
    )
    return Answered(question, made)


def score(*items):
    return score_set(items, load_similarity("char_ngrams", Path(), "cpu"), Bootstrap(50, 0.95, 0))


def test_options_are_shuffled_by_seed_and_id():
    questions = [asked("closed", ("a",), tuple("abcd"), number) for number in range(40)]
    first, other = ([item.options for item in shuffled(questions, seed)] for seed in (0, 1))
    assert first == [item.options for item in shuffled(questions, 0)]
    assert first != other
    assert {options.index("a") for options in first} == {0, 1, 2, 3}


def test_a_description_is_asked_for_as_it_stands_and_read_as_a_whole():
    found = ask_questions([asked(), asked("describe")], "direct", "SYSTEM", MODEL)
    assert found["open/0"].user == "Which bird?\nAnswer with the name alone."
    one = found["describe/0"]
    assert (one.user, one.system, one.answer_from) == ("Which bird?", "", "text")


def own(closed="{question} {options}", open="Say: {question}"):
    """A model with templates of its own."""
    entry = Entry(
        title="own", kind="chat", model="a/b", commit=None, adapter=None,
        prompts={"closed": closed, "open": open, "system": "OWN"}, answer_from="tags",
        tried={"transformers": "no"}, notes="",
    )  # fmt: skip
    return AskedModel("chat", Path("own.yaml"), "a/b@0", None, entry)


def test_no_template_of_the_models_own_goes_with_a_description():
    found = ask_questions([asked(), asked("describe")], "trained", "SYSTEM", own())
    assert (found["open/0"].user, found["open/0"].system) == ("Say: Which bird?", "OWN")
    one = found["describe/0"]
    assert (one.user, one.system, one.answer_from) == ("Which bird?", "", "text")


@pytest.mark.parametrize("kind", ["open", "closed"])
def test_a_template_that_leaves_out_the_sets_question_is_refused(kind):
    model = own("{options}?", "Name the {category}.")
    items = [asked(kind, options=("tern", "elm wren") if kind == "closed" else ())]
    with pytest.raises(ValueError, match=f"own.yaml: the template `{kind}` has no {{question}}"):
        ask_questions(items, "trained", "", model)
    assert ask_questions(items, "direct", "", model)
    assert ask_questions([asked("describe")], "trained", "", model)


def test_all_images_of_a_question_are_shown():
    found = ask_questions([asked(images=("a.png", "b.png"))], "trained", "", MODEL)
    assert found["open/0"].images == ("a.png", "b.png")


def test_examples_in_context_need_training_images():
    with pytest.raises(ValueError, match="in_context needs training images"):
        ask_questions([asked()], "in_context", "", MODEL)


def test_any_reference_makes_an_answer_right():
    question = asked(references=("elm wren", "jenny wren"))
    scores = score(
        answered(question, "<answer>Jenny Wren.</answer>"),
        answered(question, "<answer>a jenny wren, I think</answer>"),
        answered(question, "<answer>tern</answer>"),
        answered(question, "jenny wren"),
    )["open"]
    # Exact: the first. Inclusion: the first two, and the last, whose whole output is read.
    assert (scores["n"], scores["accuracy"], scores["inclusion"]) == (4, 0.25, 0.75)


@pytest.mark.parametrize(
    ("completion", "is_named"),
    [
        ("Probably a tern", True),
        ("Probably an eastern bird", False),
        ("<answer>Common-Tern.</answer> not a wren", True),
        ("<answer>wren</answer> or a tern", False),
        ("\u8fd9\u662f\u71d5\u9e25\u3002", True),  # "This is a tern." in Chinese
        ("", False),
    ],
)
def test_a_name_is_included_as_whole_words_of_the_answer(completion, is_named):
    assert names_any(completion, ("tern", "\u71d5\u9e25", "common tern")) == is_named


def test_inclusion_is_of_whole_words():
    question = asked(references=("tern",))
    scores = score(answered(question, "in the eastern sky"), answered(question, "a tern"))["open"]
    assert scores["inclusion"] == 0.5


def test_similarity_is_that_to_the_best_reference():
    question = asked(references=("elm wren", "jenny wren"))
    assert score(answered(question, "<answer>jenny wren</answer>"))["open"][
        "semantic_similarity"
    ] == pytest.approx(1)


def test_a_completion_that_is_all_answer_counts_as_one():
    scores = score(answered(asked(), "Elm wren.\n", "text"))["open"]
    assert (scores["accuracy"], scores["format_rate"]) == (1, 0)


def test_closed_answers_are_exact_against_the_truth():
    question = asked("closed", ("elm wren",), ("tern", "elm wren"))
    scores = score(
        answered(question, "<answer>elm wren</answer>"), answered(question, "<answer>b</answer>")
    )["closed"]
    assert scores["accuracy"] == 0.5
    assert scores["position"]["places"]["2"]["n"] == 2


def test_a_description_scores_the_cosine_with_the_best_caption():
    question = asked("describe", ("a brown wren on a fence", "two terns"))
    same = answered(question, "<answer>two terns</answer>", "text")
    other = answered(question, "xyz", "text", tokens=8)
    scores = score(same, other)["describe"]
    # Cosines 1 and 0: no n-gram of xyz is in either caption.
    assert scores["caption_similarity"] == pytest.approx(0.5)
    assert scores["completion_tokens_mean"] == 6


def test_a_file_per_kind_is_written(tmp_path):
    rows = [answered(asked("describe"), "a wren"), answered(asked(), "<answer>x</answer>")]
    write_answers(tmp_path / "out.jsonl", rows, {"n": 2})
    (opened,) = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    (described,) = map(json.loads, (tmp_path / "out.describe.jsonl").read_text().splitlines())
    assert (opened["ground_truth"], opened["references"]) == ("elm wren", [])
    assert (opened["image_path"], opened["num_tokens"]) == ("a.png", 4)
    assert described["captions"] == ["elm wren"]
    assert json.loads((tmp_path / "out.scores.json").read_text()) == {"n": 2}


@pytest.mark.parametrize("kind", ["open", "closed"])
def test_finer1_score_gives_the_same_numbers(tmp_path, kind):
    options = ("tern", "elm wren") if kind == "closed" else ()
    question = asked(kind, ("elm wren", "jenny wren"), options)
    rows = [
        answered(question, "Elm wren.", "text"),
        answered(question, "Jenny wren", "text"),
        answered(question, "tern", "tags"),
        answered(question, "<think>.</think><answer>tern</answer>"),
    ]
    write_answers(tmp_path / "out.jsonl", rows, {})
    similarity = load_similarity("char_ngrams", Path(), "cpu") if kind == "open" else None
    judged = judge_file(read_scored(tmp_path / "out.jsonl", kind), kind, "shuffled", similarity)
    found = score_file(judged, Bootstrap(50, 0.95, 0), None)
    scores = score(*rows)[kind]
    # Closed questions have one truth, open ones any reference.
    assert scores["accuracy"] == (0.5 if kind == "open" else 0.25)
    assert {key: found[key] for key in scores if key in found} == {
        key: value for key, value in scores.items()
        if key not in ("inclusion", "inclusion_low", "inclusion_high", "completion_tokens_mean")
    }  # fmt: skip


def test_a_limit_draws_by_seed_and_keeps_the_order():
    whole = QuestionSet("s", tuple(asked(number=number) for number in range(30)), bytes)
    few = whole.limited(5, 0).questions
    assert len(few) == 5
    assert [*few] == [item for item in whole.questions if item in few] != [*whole.questions[:5]]
    assert whole.limited(30, 0) is whole


def test_a_clip_model_chooses_among_the_options():
    import torch

    spoken = {"a photo of a tern": (1.0, 0.0), "a photo of a elm wren": (0.0, 1.0)}
    encoder = TextImageEncoder(
        name="open_clip:x",
        sha256="0123",
        encode=lambda images: torch.zeros(len(images), 2),
        encode_texts=lambda texts: torch.tensor([spoken[text] for text in texts]),
    )
    question = asked("closed", ("elm wren",), ("tern", "elm wren"))
    (made,) = clip_rows(
        "clip",
        MODEL,
        [as_question(question)],
        image_records([question], {"a.png": "0" * 64}),
        encoder,
        lambda _, images: torch.tensor([[0.1, 0.9]] * len(images)),
    )
    assert made.completion == "<answer>elm wren</answer>"
    assert (made.strategy, made.identity, made.num_tokens) == ("zero_shot", "open_clip:x@0123", 0)
