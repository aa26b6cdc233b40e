import json
import random
import re
import zlib

import numpy as np
import pytest

from finer1.encoders.texts import TextEncoder
from finer1.evaluation.file_verdicts import judge_file
from finer1.evaluation.released_rules import (
    is_released_closed,
    is_released_open,
    released_answer,
    released_dataset_word,
    released_output,
    released_word,
)
from finer1.evaluation.scored_file import ScoredRow
from finer1.evaluation.similarity import Similarity

CAR_LABEL = "Ferrari 458 Italia Convertible 2012"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>x</think><answer> Boxer\n</answer>", "Boxer"),
        ("<answer>a</answer> or <answer>b</answer>", "a</answer> or <answer>b"),
        ("<answer></answer>", ""),
        ("<answer >Boxer</answer>", None),
        ("<ANSWER>Boxer</ANSWER>", None),
        ("<answer>Boxer", None),
    ],
)
def test_the_answer_reaches_from_the_first_tag_to_the_last(text, answer):
    assert released_answer(text) == answer


@pytest.mark.parametrize("text", ["It is a Boxer", "<answer> </answer>It is"])
def test_without_an_answer_the_output_is_all_of_the_text(text):
    assert released_output(text) == text


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("american bulldog", True),
        ("AMERICAN_BULLDOG or a Boxer", True),
        ("American-Bulldog", False),
        ("Bulldog", False),
    ],
)
def test_a_closed_answer_contains_the_label(answer, right):
    assert is_released_closed(f"<answer>{answer}</answer>", "American_Bulldog") is right


def test_a_closed_question_without_tags_is_wrong():
    assert not is_released_closed("American Bulldog", "American Bulldog")


def test_an_empty_closed_answer_is_wrong_even_for_an_empty_label():
    assert not is_released_closed("<answer> </answer>", "")


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("<answer>a Laysan Albatross</answer>", True),
        ("It is a laysan albatross", True),
        ("Laysan Albatross? <answer>Sooty Albatross</answer>", False),
        ("<answer>laysan_albatross</answer>", False),  # only the label's own _ is a space
    ],
)
def test_an_open_answer_or_whole_output_contains_the_label(text, right):
    assert is_released_open(text, "Laysan_Albatross", is_car=False) is right


@pytest.mark.parametrize(
    ("answer", "right"),
    [("ferrari 458 italia", True), (CAR_LABEL, True), ("Ferrari 458", False)],
)
def test_a_car_needs_neither_body_style_nor_year(answer, right):
    assert is_released_open(f"<answer>{answer}</answer>", CAR_LABEL, is_car=True) is right


def test_another_label_needs_all_its_words():
    assert not is_released_open("<answer>ferrari 458 italia</answer>", CAR_LABEL, is_car=False)


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("fgvc_aircraft/data/images/0116175.jpg", "aircraft"),
        ("stanford-cars/cars_test/00002.jpg", "car"),
        ("flower102/jpg/image_05087.jpg", "flower"),
        ("bird_200/images/001.Black_footed_Albatross/x.jpg", "object"),
        ("dogs_120/Images/n02085936-Maltese_dog/x.jpg", "object"),
        ("oxford-pet/images/american_bulldog_203.jpg", "object"),
        ("birds/1.jpg", "bird"),
    ],
)
def test_the_word_is_read_from_the_path(path, word):
    assert released_word(path) == word


@pytest.mark.parametrize(
    ("dataset", "word"), [("car", "car"), ("aircraft", "aircraft"), ("bird", "object")]
)
def test_the_word_of_a_dataset_is_that_of_its_released_paths(dataset, word):
    assert released_dataset_word(dataset) == word


def as_released(text, truth, path):
    """(closed, open, text whose similarity counts, word) by the released script's own patterns."""
    found = re.search(r"<answer>(.*)</answer>", text, re.DOTALL)
    answer = found.group(1).strip() if found else None
    plain = truth.lower().replace("_", " ")
    closed = bool(answer) and plain in answer.lower().replace("_", " ")
    base = answer if answer else text
    words = {"aircraft": "aircraft", "birds": "bird", "cars": "car", "flower": "flower"}
    word = next((words[part] for part in words if part in path), "object")
    wanted = " ".join(truth.lower().split()[:-2]) if word == "car" else plain
    return closed, wanted in base.lower(), base, word


def embed(texts):
    """Unit vectors with entries of at least 0, as different as the texts."""
    draws = (np.random.default_rng(zlib.crc32(text.encode())).random(4) for text in texts)
    return np.array([draw / np.linalg.norm(draw) for draw in draws])


def made_up(row, generator):
    """A completion of pieces that the rules tell apart, about a row."""
    truth, other = row["ground_truth"], row["options"][1]
    pieces = ["<answer>", "</answer>", "<think>", "</think>", "<ANSWER>", " ", "\n", "_", "-", "."]
    pieces += ["the ", "\u0130", "\xdf", other, truth, truth.upper(), truth.replace(" ", "_")]
    pieces.append(" ".join(truth.split()[:-2]))
    text = "".join(generator.choices(pieces, k=generator.randrange(9)))
    return generator.choice((text, f"<think>{other}</think><answer>{text}</answer>"))


@pytest.mark.slow
def test_every_released_row_is_scored_as_the_released_script_would(repository):
    """Also where the images lie in another folder, which the script itself would mistake."""
    folders = repository / "data/released", repository.parent / "shared/reference"
    paths = {path.name: path for folder in folders for path in folder.glob("*_*seen.jsonl")}
    if not paths:
        pytest.skip(f"no released question files in {folders[0]} or {folders[1]}")
    generator = random.Random(0)
    rows, expected = [], []
    for path in paths.values():
        for fields in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
            text = made_up(fields, generator)
            image = generator.choice(("", "/data/cars/birds/")) + fields["image_path"]
            rows.append(ScoredRow(**{**fields, "image_path": image}, completion=text))
            expected.append(as_released(text, fields["ground_truth"], fields["image_path"]))
    closed = judge_file(rows, "closed", "paper", None)
    encoder = TextEncoder("drawn", "0" * 64, False, embed)
    opened = judge_file(rows, "open", "paper", Similarity(encoder))
    assert [row.is_paper for row in closed.rows] == [found[0] for found in expected]
    assert [row.is_paper for row in opened.rows] == [found[1] for found in expected]
    truths = embed([row.ground_truth for row in rows])
    answers = (embed([found[2] for found in expected]) * truths).sum(axis=1)
    words = (embed([found[3] for found in expected]) * truths).sum(axis=1)
    scores = np.maximum(0, (answers - words) / (1 - words))
    assert opened.similarity["paper"] == pytest.approx(scores, abs=1e-9)
    assert min(sum(found[0] for found in expected), sum(found[1] for found in expected)) > 1000
