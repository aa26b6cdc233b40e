import json
import random

import numpy as np
import pytest

from finer1.encoders.texts import TextEncoder
from finer1.evaluation.file_verdicts import judge_file, judge_row, known_labels
from finer1.evaluation.scored_file import ScoredRow
from finer1.evaluation.similarity import Similarity
from finer1.prompts import SECTIONS

OPTIONS = ("elm wren", "oak wren", "ash wren", "reed tern")
CAR = {"image_path": "stanford-cars/1.jpg", "ground_truth": "Audi TT Coupe 2012"}


def row(completion, **fields):
    known = {"image_path": "photos/1.jpg", "question": "What?", "ground_truth": "elm wren"}
    return ScoredRow(**(known | {"options": OPTIONS, "completion": completion} | fields))


def judge(completion, setting="closed", protocol="shuffled", **fields):
    return judge_row(row(completion, **fields), setting, protocol, OPTIONS)


@pytest.mark.parametrize(
    ("completion", "exact", "paper"),
    [
        ("<answer>elm wren</answer>", True, True),
        ("<think>x</think> <answer>Elm_Wren</answer>", True, True),
        ("<answer>The elm-wren.</answer>", True, False),  # the released rule keeps the hyphen
        ("<answer>an elm wren, I think</answer>", False, True),
        ("<answer>oak wren, elm wren</answer>", False, True),
        ("<answer>oak wren</answer><answer>elm wren</answer>", False, True),
        ("<answer>elm wren", False, False),
        ("elm wren", False, False),
        ("<think>elm wren</think><answer>oak wren</answer>", False, False),
    ],
)
def test_both_rules_for_closed_questions(completion, exact, paper):
    found = judge(completion)
    assert (found.is_exact, found.is_paper) == (exact, paper)


@pytest.mark.parametrize(
    ("completion", "exact", "paper"),
    [
        ("It is an elm wren", False, True),  # the whole output
        ("<think>elm wren</think><answer></answer>", False, True),  # as well, the answer is empty
        ("<think>elm wren</think><answer>oak wren</answer>", False, False),
        ("<answer>elm_wren</answer>", True, False),  # _ counts as a space in the truth alone
    ],
)
def test_both_rules_for_open_questions(completion, exact, paper):
    found = judge(completion, setting="open")
    assert (found.is_exact, found.is_paper) == (exact, paper)


def test_the_released_rule_for_open_questions_leaves_out_a_cars_last_two_words():
    found = judge("<answer>Audi TT</answer>", setting="open", options=(), **CAR)
    assert (found.is_exact, found.is_paper) == (False, True)


@pytest.mark.parametrize("prefix", ["", "/data/cars/", "/home/me/birds/", "aircraft/"])
@pytest.mark.parametrize(
    ("path", "truth", "answer", "right", "word"),
    [
        ("stanford-cars/1.jpg", "Audi TT Coupe 2012", "Audi TT", True, "car"),
        ("bird_200/images/1.jpg", "Laysan Albatross", "Laysan Albatross", True, "object"),
        # By the rule of cars the empty text would be left to find.
        ("bird_200/images/1.jpg", "Laysan Albatross", "Black Tern", False, "object"),
        ("dogs_120/Images/1.jpg", "Maltese Dog", "Boxer", False, "object"),
    ],
)
def test_a_folder_above_released_images_changes_no_paper_number(
    prefix, path, truth, answer, right, word
):
    fields = {"image_path": prefix + path, "ground_truth": truth, "options": ()}
    assert judge(f"<answer>{answer}</answer>", "open", "paper", **fields).is_paper is right
    assert row("", **fields).paper_word == word


def test_a_path_of_no_released_dataset_is_read_as_the_released_script_reads_it():
    asked = row("", image_path="photos/cars/1.jpg", dataset="own")
    assert (asked.paper_word, asked.word) == ("car", "object")


def test_where_the_row_says_so_all_of_a_completion_is_the_answer_in_the_headline():
    found = judge(" Ash wren.\n", ground_truth="ash wren", answer_from="text")
    assert (found.is_exact, found.answer, found.answer_place) == (True, "Ash wren.", 3)
    assert (found.is_answered, found.is_paper) == (True, False)  # the released rule wants tags
    assert judge("elm wren or oak wren", answer_from="text").is_hedged
    assert not judge("elm wren or oak wren", "closed", "paper", answer_from="text").is_hedged
    assert judge("I say <answer>elm wren</answer>", answer_from="text").answer == "elm wren"


def test_the_names_of_a_released_dataset_are_known():
    asked = row("", image_path="bird_200/images/1.jpg", ground_truth="Black Tern", options=())
    labels = known_labels([asked, row("", ground_truth="roc")])
    assert len(labels["bird"]) == 200
    assert "Laysan Albatross" in labels["bird"]
    assert labels[""] == ("ash wren", "elm wren", "oak wren", "reed tern", "roc")


def test_further_references_count_in_the_headline_of_open_questions():
    references = {"references": ("winter wren",)}
    found = judge("<answer>winter wren</answer>", setting="open", **references)
    assert (found.is_exact, found.is_paper) == (True, False)
    assert not judge("<answer>winter wren</answer>", **references).is_exact


@pytest.mark.parametrize(
    ("completion", "tagged", "sectioned"),
    [
        ("<think>x</think>\n<answer>y</answer>", True, False),
        (
            "<think><analysis>a</analysis><options>b</options><comparison>c</comparison>"
            "<prediction>d</prediction></think><answer>y</answer>",
            True,
            True,
        ),
        ("<answer>y</answer>", False, False),
        ("<think>x</think><answer>y</answer> so it is", False, False),
    ],
)
def test_the_released_format_and_ours(completion, tagged, sectioned):
    found = judge(completion)
    assert (found.is_tagged, found.is_sectioned) == (tagged, sectioned)


@pytest.mark.parametrize(
    ("completion", "setting", "protocol", "hedged"),
    [
        ("<answer>elm wren or oak wren</answer>", "closed", "shuffled", True),
        ("<answer>elm wren</answer><answer>oak wren</answer>", "closed", "shuffled", True),
        ("<think>elm wren, oak wren</think><answer>elm wren</answer>", "open", "paper", False),
        ("elm wren or oak wren", "open", "paper", True),  # here the output is the answer
        ("elm wren or oak wren", "open", "shuffled", False),
        ("elm wren or oak wren", "closed", "paper", False),
    ],
)
def test_a_hedge_names_two_in_what_the_protocol_reads_as_the_answer(
    completion, setting, protocol, hedged
):
    assert judge(completion, setting, protocol).is_hedged is hedged


def test_places_of_truth_and_answer_count_from_one():
    found = judge("<answer>Ash-Wren</answer>", ground_truth="oak wren")
    assert (found.truth_place, found.answer_place) == (2, 3)
    assert judge("<answer>gull</answer>").answer_place is None
    assert judge("<answer>elm wren</answer>", setting="open").truth_place is None


def test_an_answer_stands_at_the_truths_place_when_two_options_have_one_normal_form():
    found = judge(
        "<answer>elm wren</answer>", options=("elm-wren", "elm wren"), ground_truth="elm wren"
    )
    assert (found.is_exact, found.answer_place) == (True, 2)


def encode_words(texts):
    """Words as dimensions: `elm wren` and `oak wren` have cosine 1/2, `bird` has 0 with both."""
    words = ("elm", "oak", "wren", "bird", "object", "it", "is", "an")
    rows = np.array([[float(word in text.lower().split()) for word in words] for text in texts])
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


@pytest.fixture
def similarity():
    return Similarity(TextEncoder("words", "0" * 64, True, encode_words))


def test_similarity_under_both_protocols(similarity):
    rows = [
        row("<answer>Elm Wren</answer>", category="bird"),
        row("<answer>oak wren</answer>", category="bird"),
        row("elm wren", category="bird"),  # headline: no answer; paper: the whole output
        row("It is an elm wren", category="bird"),  # 2 of 5 words: 2 / sqrt(2 * 5) = 0.632
        row("<answer>oak wren</answer>", category="bird", references=("oak wren",)),
    ]
    scores = judge_file(rows, "open", "paper", similarity).similarity
    assert scores["shuffled"] == pytest.approx([1, 0.5, 0, 0, 1])
    assert scores["paper"] == pytest.approx([1, 0.5, 1, 0.4**0.5, 0.5])


def test_the_headline_takes_the_own_word_and_the_paper_that_of_the_path(similarity):
    # The answer and the own word both have cosine 1/2 with the truth: (1/2 - 1/2) / (1 - 1/2) = 0.
    # "object", the word of a path that says nothing, has cosine 0: (1/2 - 0) / (1 - 0) = 1/2.
    found = row("<answer>elm oak</answer>", category="elm bird")
    scores = judge_file([found], "open", "paper", similarity).similarity
    assert scores["shuffled"] == pytest.approx([0])
    assert scores["paper"] == pytest.approx([0.5])


def test_closed_questions_have_no_similarity(similarity):
    judged = judge_file([row("<answer>elm wren</answer>")], "closed", "paper", similarity)
    assert judged.similarity == {}


def test_any_completion_is_judged():
    # Pieces of the format, control characters and half characters in any order.
    generator = random.Random(0)
    pieces = ["<think>", "</think>", "<answer>", "</answer>", "<", ">", "/", "\0", "\ufffd", "\n"]
    pieces += ["elm wren", "oak_wren", "\U0001f426", "\u202e", "the ", " ", "<analysis>", "a" * 99]
    for _ in range(500):
        text = "".join(generator.choices(pieces, k=generator.randrange(12)))
        for setting in ("closed", "open"):
            for protocol in ("paper", "shuffled"):
                found = judge(text, setting, protocol)
                assert found.num_characters == len(text)
                assert not found.is_exact or found.answer is not None


@pytest.mark.parametrize(
    "text",
    [
        "</answer>",
        "<answer>",
        "</think><answer>",
        "<answer>elm wren</answer>",
        " ",
        "the ",
        "".join(f"<{name}></{name}>" for name in SECTIONS),
    ],
)
@pytest.mark.parametrize("form", ["{}", "<think>{}</think><answer>a{}</answer>"])
def test_a_completion_of_a_megabyte_is_judged_at_once(text, form):
    found = judge(form.format(text * (1_000_000 // len(text)), " " * 1_000_000), "open", "paper")
    assert not found.is_exact


def test_released_rows_are_judged_as_the_released_script_would(repository):
    """Every 40th row of the files at hand, completions whose outcome is known by construction."""
    folder = repository.parent / "shared" / "reference"
    if not folder.is_dir():
        pytest.skip(f"no released files at {folder}")
    lines = [
        line
        for path in sorted(folder.glob("*_*seen.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()[::40]
    ]
    assert len(lines) > 200
    for fields in map(json.loads, lines):
        truth, other = fields["ground_truth"], fields["options"][1]
        # Exact, closed by the released rule, open by the released rule.
        expected = {
            f"<think>{other}</think><answer>{truth}</answer>": (True, True, True),
            f"<answer> {truth.upper()} </answer>.": (True, True, True),
            f"<answer>{other} or {truth}</answer>": (False, True, True),
            f"<answer>{other}</answer><answer>{truth}</answer>": (False, True, True),
            f"It is the {truth}": (False, False, True),
            f"<think>{truth}</think><answer>?</answer>": (False, False, False),
            "": (False, False, False),
        }
        for completion, outcome in expected.items():
            asked = row(completion, **fields)
            closed = judge_row(asked, "closed", "paper", tuple(fields["options"]))
            opened = judge_row(asked, "open", "paper", tuple(fields["options"]))
            assert (closed.is_exact, closed.is_paper, opened.is_paper) == outcome
            assert closed.truth_place == 1
