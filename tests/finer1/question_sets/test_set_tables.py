"""Question sets in tables, of made-up rows."""

import json

import pytest

from finer1.question_sets.fields import find_fields, parse_fields
from finer1.question_sets.tables import read_table

ROW = {"image": "a.png", "question": "Which bird?", "answer": "wren"}


@pytest.fixture
def read(tmp_path):
    """Write rows, or text, under a name and read the set."""

    def read(rows, name="set.jsonl", chosen=None, category="bird"):
        path = tmp_path / name
        if isinstance(rows, list):
            rows = "".join(json.dumps(row) + "\n" for row in rows)
        path.write_text(rows)
        return read_table(path, chosen or {}, category, outside=False).questions

    return read


def test_a_row_is_an_open_question(read):
    (asked,) = read([ROW])
    assert (asked.id, asked.kind, asked.images) == ("open/1", "open", ("a.png",))
    assert (asked.text, asked.references) == ("Which bird?", ("wren",))
    assert (asked.options, asked.category) == ((), "bird")


def test_a_row_with_options_is_closed(read):
    (asked,) = read([ROW | {"choices": ["tern", "wren"], "id": 7}])
    assert (asked.id, asked.kind, asked.options) == ("closed/7", "closed", ("tern", "wren"))


def test_the_first_column_of_answers_counts_and_all_further_spellings(read):
    more = {"aliases": ["wren", "jenny wren", ""], "target": "B", "ground_truth": "elm wren"}
    (asked,) = read([ROW | more | {"references": ["oak wren"]}])
    assert asked.references == ("elm wren", "oak wren", "wren", "jenny wren")


def test_a_letter_as_the_right_answer_is_refused_unless_its_column_is_named(read):
    rows = [ROW | {"answer": ["wren", "B"]}]
    with pytest.raises(ValueError, match=r"jsonl:1: the right answer, B, is shorter .*--field ref"):
        read(rows)
    assert read(rows, chosen={"reference": "answer"})[0].references == ("wren", "B")
    assert read([ROW | {"answer": "\u9e64"}])[0].references == ("\u9e64",)  # crane, in Chinese
    assert read([ROW | {"answer": "B", "options": ["A", "B"]}])[0].references == ("B",)


def test_the_released_rows_and_our_own_output_are_a_set(read):
    row = {
        "image_path": "bird_200/x/a.jpg", "question": "What bird?", "options": ["a", "b"],
        "ground_truth": "a", "references": ["A"], "completion": "b",
    }  # fmt: skip
    (asked,) = read([row])
    assert (asked.references, asked.options) == (("a", "A"), ("a", "b"))


def test_a_value_in_several_languages_is_chosen_by_field(read):
    row = ROW | {"question": {"zh": "?", "en": "Which?"}}
    with pytest.raises(ValueError, match=r"set\.jsonl:1: question holds zh, en; choose one: --fi"):
        read([row])
    assert read([row], chosen={"question": "question.en"})[0].text == "Which?"


def test_a_caption_is_to_be_described_besides(read):
    first, second = read([ROW | {"caption": ["a small bird", "brown"]}])
    assert (first.kind, first.references) == ("describe", ("a small bird", "brown"))
    assert "bird" in first.text
    assert second.kind == "open"


def test_a_caption_alone_is_enough(read):
    (asked,) = read([{"image": "a.png", "caption": "a small bird"}])
    assert asked.id == "describe/1"


def test_a_row_without_answer_and_caption_is_named(read):
    rows = [{"image": "a.png", "caption": text} for text in ("", "a small bird", None)]
    with pytest.raises(ValueError) as error:
        read(rows)
    assert [line.partition("jsonl:")[2] for line in str(error.value).splitlines()] == [
        "1: caption: no caption; write one",
        "3: caption: no caption; write one",
    ]


def test_cells_hold_lists_by_bars_or_as_json(read):
    cells = 'a.png,"Which, then?",wren|jenny wren,"[""wren"", ""tern""]"'
    (asked,) = read(f"image,question,answer,options\n{cells}\n", "set.csv")
    assert asked.text == "Which, then?"
    assert asked.references == ("wren", "jenny wren")
    assert asked.options == ("wren", "tern")


def test_a_tsv_and_the_one_list_of_a_json_object_are_tables(read):
    assert read("image\tquestion\tanswer\na.png\tWhich?\twren\n", "set.tsv")[0].text == "Which?"
    assert read(json.dumps({"version": 1, "items": [ROW]}), "set.json")[0].references == ("wren",)


def test_every_bad_row_is_named_at_once(read):
    rows = [
        ROW,
        ROW | {"image": ""},
        ROW | {"question": None},
        ROW | {"answer": []},
        ROW | {"options": ["robin", "tern"]},
        ROW | {"options": ["wren"]},
        ROW | {"options": ["wren", "Wren."]},
        ROW | {"answer": True},
    ]
    with pytest.raises(ValueError) as error:
        read("".join(json.dumps(row) + "\n" for row in rows) + "[1]\nno\n")
    lines = str(error.value).splitlines()
    assert [int(line.partition(".jsonl:")[2].split(":")[0]) for line in lines] == [
        *(9, 10),
        *range(2, 9),
    ]
    assert "the right answer, wren, is none of the options" in str(error.value)


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e400"])
def test_a_number_that_is_not_finite_is_named(read, number):
    with pytest.raises(ValueError, match=":1: question holds (nan|-?inf), which is no text"):
        read(f'{{"image": "a.png", "question": {number}, "answer": "wren"}}\n')


@pytest.mark.parametrize("depth", [700, 970])  # which the JSON parser itself still takes
def test_a_list_that_is_nested_too_deeply_is_named(read, depth):
    deep = "[" * depth + "1" + "]" * depth
    text = f'{{"image": "a.png", "question": "q", "answer": "wren", "options": {deep}}}\n'
    with pytest.raises(ValueError, match=r":1: .*(nested too deeply|recursion)"):
        read(text)


def test_an_id_that_comes_twice_is_named(read):
    with pytest.raises(ValueError, match=r"set\.jsonl:2: the id 'open/x' is that of .*jsonl:1"):
        read([ROW | {"id": "x"}, ROW | {"id": "x"}])


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("", "set.jsonl", "has no row"),
        ('{"question": "?", "answer": "a"}\n', "set.jsonl", "no column for images .*; there are q"),
        ('{"image": "a", "question": "?"}\n', "set.jsonl", "no column for right answers"),
        ('{"image": "a", "answer": "?"}\n', "set.jsonl", "no column for questions"),
        ('{"image": "a", "question": "?", "answer": "\\ud800"}', "set.jsonl", "half a character"),
        ("{", "set.json", r"set\.json: no JSON"),
        ('{"a": [], "b": []}', "set.json", "2 of its values are lists"),
        ("image,question,answer\na,b\n", "set.csv", r"set\.csv:2: 2 cells below 3"),
        ("nothing", "set.parquet", r"set\.parquet is no readable parquet file"),
    ],
)
def test_what_is_no_table_of_questions_is_refused(read, text, name, message):
    with pytest.raises(ValueError, match=message):
        read(text, name)


def test_a_column_counts_whatever_its_case_and_the_first_candidate_wins():
    fields = find_fields(("Prompt", "QUESTION", "Image", "Answer"), {}, "x")
    assert fields == {"image": ("Image",), "question": ("QUESTION",), "reference": ("Answer",)}


def test_a_chosen_column_that_is_not_there_is_named():
    with pytest.raises(ValueError, match=r"--field question=text: there is no column text; there"):
        find_fields(("image", "answer"), {"question": "text"}, "x")


@pytest.mark.parametrize("text", ["question", "question=", "colour=a"])
def test_a_field_that_is_not_one_is_refused(text):
    with pytest.raises(ValueError, match=f"--field {text}: write USE=COLUMN"):
        parse_fields([text])
