"""ImageWikiQA: its rows, and how answers to them are scored."""

import json

import pytest

from finer1.engines.interface import Sample
from finer1.engines.store import GenerationStore
from finer1.evaluation.statistics import Bootstrap
from finer1.general.imagewikiqa import ask_wiki, find_file, read_questions, score_wiki

BOOTSTRAP = Bootstrap(200, 0.95, 0)


class Echo:
    """An engine that remembers what it was asked and answers B."""

    identity = "echo"
    pads = False

    def __init__(self):
        self.asked = []

    def generate(self, requests, sampling):
        self.asked += [(item.system, item.user, item.images[0].size) for item in requests]
        return [[Sample("B", 1, "stop")] for _ in requests]


def test_a_row_of_the_authors_is_a_question(write_wiki, wiki_row):
    (question,) = read_questions(write_wiki([wiki_row()]), None)
    assert question.choices == ("In water", "In trees", "In sand", "In ice")
    assert (question.label, question.classname) == ("B", "indri")


def test_a_limit_takes_the_first_rows(write_wiki, wiki_row):
    file = write_wiki([wiki_row(), wiki_row(label="Z")])
    assert len(read_questions(file, 1)) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": "E"}, "label 'E' is none of A, B, C and D"),
        ({"image": "images/2.png"}, "images/2.png is not in"),
        ({"image": "../../secret.png"}, "lies outside"),
        ({"text": "Where?\nA. Here\nChoose."}, "not a question with choices"),
    ],
)
def test_a_wrong_row_is_named(write_wiki, wiki_row, changes, message):
    file = write_wiki([wiki_row(), wiki_row(**changes)])
    with pytest.raises(ValueError, match=f"imagewikiqa.jsonl:2: .*{message}"):
        read_questions(file, None)


def test_every_wrong_row_is_named_at_once(write_wiki, wiki_row):
    file = write_wiki([wiki_row(label="E"), wiki_row(), {"image": "images/1.png"}])
    with pytest.raises(ValueError, match=r"(?s):1: label.*:3: 'text' is missing"):
        read_questions(file, None)


def test_a_line_separator_in_a_text_does_not_end_the_row(write_wiki, wiki_row):
    file = write_wiki([wiki_row(classname="in\u2028dri")])
    file.write_text(json.dumps(json.loads(file.read_text()), ensure_ascii=False) + "\n")
    assert "\u2028" in file.read_text(encoding="utf-8")
    assert read_questions(file, None)[0].classname == "in\u2028dri"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"a": ' * 100_000, "no JSON"),  # deeper than the parser goes
        ('{"image": "a\\u0000b", "text": "x", "label": "A", "classname": "x"}', "null byte"),
    ],
)
def test_a_hostile_row_is_named(write_wiki, wiki_row, line, message):
    file = write_wiki([wiki_row()])
    with file.open("a") as lines:
        lines.write(line + "\n")
    with pytest.raises(ValueError, match=f"imagewikiqa.jsonl:2: .*{message}"):
        read_questions(file, None)


def test_a_text_that_would_keep_the_search_busy_for_hours_is_refused_at_once(write_wiki, wiki_row):
    # Quadratic: 4,000 blanks take 0.2 s, a million more than an hour.
    file = write_wiki([wiki_row(text="Where?\nA. " + " " * 10**6 + "x\nChoose.")])
    with pytest.raises(ValueError, match=r"imagewikiqa.jsonl:1: text has 10000[0-9]+ characters"):
        read_questions(file, None)


def test_an_empty_folder_says_what_belongs_there(tmp_path):
    with pytest.raises(ValueError, match="holds 0 JSON-lines files and needs one: imagewikiqa"):
        find_file(tmp_path)


def test_the_text_is_asked_as_it_is(write_wiki, wiki_row, tmp_path):
    questions = read_questions(write_wiki([wiki_row()]), None)
    engine = Echo()
    samples = ask_wiki(engine, questions, "Think.", 8, GenerationStore(tmp_path / "store", 4))
    assert samples == [Sample("B", 1, "stop")]
    assert engine.asked == [("Think.", wiki_row()["text"], (32, 32))]


def test_an_unreadable_answer_is_wrong_and_counted(write_wiki, wiki_row):
    questions = read_questions(write_wiki([wiki_row()] * 4), None)
    texts = ("B", "It may be A or B.", "C", "<answer>B</answer>")
    samples = [Sample(text, 3, "stop") for text in texts[:3]] + [Sample(texts[3], 3, "length")]
    figures = score_wiki(questions, samples, BOOTSTRAP)
    # Right: the first and the last of four. Unreadable: the second. Cut off: the last.
    assert figures["accuracy"] == 0.5
    assert figures["unparsed"] == 0.25
    assert figures["cut_off"] == 0.25
    assert figures["n"] == 4
