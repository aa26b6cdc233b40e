import json

import pytest

from finer1.evaluation.scored_file import MAX_FINDINGS, ScoredRow, read_scored

ROW = {
    "image_path": "photos/1.jpg",
    "question": "What bird is this?",
    "options": ["elm wren", "oak wren"],
    "ground_truth": "elm wren",
    "completion": "<answer>elm wren</answer>",
}


@pytest.fixture
def write(tmp_path):
    """Write a file of rows, each a change of ROW, or text as it is."""

    def make(*changes):
        path = tmp_path / "outputs.jsonl"
        lines = [
            change if isinstance(change, str) else json.dumps({**ROW, **change})
            for change in changes
        ]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return make


def row(**change):
    return ScoredRow(**{**ROW, **change})


def test_further_keys_are_passed_over_and_rows_may_repeat(write):
    rows = read_scored(write({"logprob": -1.5}, {"logprob": -1.5}), "closed")
    assert rows == [row(), row()]


def test_an_open_question_needs_no_options(write):
    line = json.dumps({key: ROW[key] for key in ROW if key != "options"})
    assert read_scored(write(line), "open")[0].options == ()
    with pytest.raises(ValueError, match=r"outputs\.jsonl:1: options: a closed question needs"):
        read_scored(write(line), "closed")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nonsense", "the line is no JSON object"),
        ("[1]", "the line is no JSON object"),
        ("[" * 100_000, "the line is no JSON object"),
        (json.dumps({"question": "x"}), "image_path: Field required"),
        ({"completion": None}, "completion: Field required"),
        ({"completion": 5}, "completion: Input should be a valid string"),
        ({"options": "elm wren"}, "options: must be a list of names"),
        ({"references": {"a": 1}}, "references: must be a list of names"),
        ({"options": ["elm wren", 5]}, "options.1: Input should be a valid string"),
        ({"options": ["oak wren"]}, "ground_truth: 'elm wren' is none of the options"),
        ({"options": ["elm wren", "elm wren"]}, "options: one is there twice"),
        ({"options": ["elm wren", "The Elm-Wren"]}, "options: one is there twice, or two differ"),
        ({"options": ["elm wren"]}, "options: there is one, which"),
        ({"answer_from": "tag"}, "answer_from: Input should be 'tags' or 'text'"),
        ({"ground_truth": "!"}, "ground_truth: no name is left of it"),
        ({"seen": "perhaps"}, "seen: Input should be a valid boolean"),
    ],
)
def test_a_bad_row_is_named_with_its_line(write, line, message):
    path = write({}, "", line)  # the blank line counts as a line
    with pytest.raises(ValueError) as error:
        read_scored(path, "closed")
    assert str(error.value).startswith(f"{path}:3: {message}")


def test_text_that_is_not_utf8_is_named(tmp_path):
    path = tmp_path / "latin.jsonl"
    path.write_bytes(json.dumps(ROW).encode() + b"\n\xe9\n")
    with pytest.raises(ValueError, match=r"latin\.jsonl:2: the line is not UTF-8"):
        read_scored(path, "closed")


def test_all_bad_rows_are_named_up_to_a_number(write):
    path = write(*["x"] * (MAX_FINDINGS + 3))
    with pytest.raises(ValueError) as error:
        read_scored(path, "closed")
    lines = str(error.value).splitlines()
    assert len(lines) == MAX_FINDINGS + 1
    assert lines[-1] == "... and 3 more bad rows"


def test_a_file_without_rows_is_refused(write, tmp_path):
    with pytest.raises(ValueError, match="holds no row"):
        read_scored(write(), "open")
    with pytest.raises(ValueError, match="is no file"):
        read_scored(tmp_path / "absent.jsonl", "open")


@pytest.mark.parametrize("start", ["[", "\n [", "\ufeff \n ["])
def test_a_file_that_is_one_array_is_refused_in_one_sentence(write, start):
    with pytest.raises(ValueError) as error:
        read_scored(write(f"{start}\n{json.dumps(ROW)}\n]"), "closed")
    assert "begins as one JSON array; write one object a line, e.g. jq -c '.[]'" in str(error.value)
    assert "\n" not in str(error.value)


def test_half_a_surrogate_pair_becomes_the_replacement_character(write):
    # json.dumps writes the half as an escape, which no encoder of text would take.
    assert read_scored(write({"completion": "a\ud800b"}), "open")[0].completion == "a\ufffdb"


@pytest.mark.parametrize(
    ("path", "truth", "dataset", "word", "seen"),
    [
        ("bird_200/images/1/a.jpg", "Laysan Albatross", "bird", "bird", True),
        ("/data/x/dogs_120/Images/a.jpg", "Maltese Dog", "dog", "dog", True),
        ("photos/1.jpg", "elm wren", None, "object", None),
        ("photos/aircraft/1.jpg", "elm wren", None, "object", None),  # a folder says nothing sure
    ],
)
def test_dataset_word_and_side_follow_from_a_released_path(path, truth, dataset, word, seen):
    found = row(image_path=path, ground_truth=truth)
    assert (found.found_dataset, found.word, found.found_seen) == (dataset, word, seen)


def test_what_a_row_says_itself_comes_first():
    found = row(image_path="bird_200/images/1/a.jpg", dataset="garden", category="wren", seen=False)
    assert (found.found_dataset, found.word, found.found_seen) == ("garden", "wren", False)
