import csv
import io
import json

import pytest

from finer1.recognition import Recognition
from finer1.recognition.answers import (
    COLUMNS,
    Answered,
    csv_head,
    csv_line,
    json_line,
    read_done,
    text_lines,
)

SECTIONS = {"analysis": "red", "options": "a, b", "comparison": "c", "prediction": "a"}
FOUND = Recognition("a", ("a", "b"), SECTIONS, {"a": 0.8, "b": 0.2}, "<think>...")
ROW = Answered("x/1.png", "5e", "m", "What?", "greedy", FOUND)
NO_IMAGE = Answered("x/2.png", "6f", "m", "What?", "greedy", None, "x/2.png: not a readable image")


def cells(item):
    return next(csv.DictReader(io.StringIO(csv_head() + csv_line(item))))


def test_a_line_of_json_has_everything():
    row = json.loads(json_line(ROW))
    assert (row["image"], row["answer"], row["sections"]) == ("x/1.png", "a", SECTIONS)
    assert (row["votes"], row["candidates"], row["raw"]) == (FOUND.votes, ["a", "b"], FOUND.raw)
    assert (row["sha256"], row["model"], row["error"]) == ("5e", "m", None)
    assert "\n" not in json_line(ROW)


def test_a_line_of_csv_has_the_share_of_the_answer_and_the_sections():
    row = cells(ROW)
    assert (row["answer"], row["vote_share"], row["candidates"]) == ("a", "0.800", "a; b")
    assert (row["analysis"], row["prediction"]) == ("red", "a")
    assert cells(NO_IMAGE)["error"] == NO_IMAGE.error


@pytest.mark.parametrize("answer", ["=1+1", "+1", "-1", "@a", "\t=1"])
def test_no_cell_of_csv_is_a_formula(answer):
    row = Answered("1.png", "5e", "m", "?", "greedy", Recognition(answer, (), {}, {}, answer))
    assert cells(row)["answer"] == f"'{answer}"


def test_text_says_the_answer_first_and_what_is_missing():
    assert list(text_lines(ROW))[:3] == ["x/1.png", "  answer      a  (80% of the votes)",
                                         "  analysis    red"]  # fmt: skip
    broken = Answered("1.png", "5e", "m", "?", "greedy", Recognition(None, (), {}, {}, " wren "))
    assert list(text_lines(broken))[1:] == [
        "  answer      no answer", "  no sections; the completion is: wren",
    ]  # fmt: skip
    assert list(text_lines(NO_IMAGE))[1] == f"  error       {NO_IMAGE.error}"


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_whole_rows_of_a_file_are_known_and_half_a_line_is_none(tmp_path, suffix):
    path = tmp_path / f"rows{suffix}"
    assert read_done(path) == ({}, 0)
    if suffix == ".csv":
        text = csv_head() + csv_line(ROW) + csv_line(NO_IMAGE)
    else:
        text = f"{json_line(ROW)}\n{json_line(NO_IMAGE)}\n"
    path.write_text(text + "x/3.png,torn")
    assert read_done(path) == ({ROW.key: True, NO_IMAGE.key: False}, len(text))


@pytest.mark.parametrize(("name", "text"), [("a.csv", "a,b\n1,2\n"), ("a.jsonl", "[1]\n"),
                                            ("a.jsonl", '{"image": 1}\n')])  # fmt: skip
def test_a_file_of_something_else_is_left_alone(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match="was not written by finer1 predict"):
        read_done(tmp_path / name)


def test_columns_are_those_of_the_row():
    assert set(cells(ROW)) == set(COLUMNS)
