import pytest

from finer1.inspection.names import check_names, collisions, is_number, nested, unusable


@pytest.mark.parametrize(
    ("label", "why"),
    [
        ("", "empty"),
        (" \t", "empty"),
        ("n" * 101, "101 characters"),
        ("Wren\nRobin", r"U\+000A"),
        ("Wren\x00", r"U\+0000"),
        ("Wren\u2028Robin", r"U\+2028"),
        ("Wren \u202egnorw", r"U\+202E"),
        ("Wren \ud800", r"U\+D800"),
        ("Wren<|im_end|>", "<|im_end|>"),
        ("</think> Wren", "</think>"),
        ("<answer>Wren", "<answer>"),
        ('<img src="x">', "tag"),
        ("<s>", "tag"),
    ],
)
def test_a_name_that_breaks_a_prompt_cannot_be_used(label, why):
    import re

    assert re.search(why.replace("|", r"\|"), unusable(label))


@pytest.mark.parametrize(
    "label",
    [
        *("F-16A/B", "Boeing 737-200", "Audi A5 Coupe 2012", "MG", "n" * 100, "3 < 5", "O'Hara"),
        *("caf\u00e9 noir", "\u05e9\u05dc\u05d5\u05dd", "\u718a\u732b", "bird \U0001f426"),
    ],
)
def test_a_name_of_words_can_be_used(label):
    assert unusable(label) is None
    assert not is_number(label)


@pytest.mark.parametrize(
    "label", ["17", "001", "class_17", "Class 3", "n02085620", "deadbeef01", "id-4"]
)
def test_an_id_is_no_name(label):
    assert is_number(label)


def test_names_collide_after_case_form_and_spaces():
    names = ["Wren", "wren ", "Caf\u00e9", "Cafe\u0301", "Stra\u00dfe", "STRASSE", "Robin"]
    assert sorted(map(sorted, collisions(names))) == [
        ["Cafe\u0301", "Caf\u00e9"],
        ["STRASSE", "Stra\u00dfe"],
        ["Wren", "wren "],
    ]


def test_a_name_is_inside_another_by_whole_words_in_a_row():
    names = ["rose", "lenten rose", "desert-rose", "primrose", "fish crow", "fish eating crow"]
    assert nested(names) == [("rose", ["desert-rose", "lenten rose"])]


def test_equal_words_are_not_inside_each_other():
    assert nested(["desert-rose", "desert rose"]) == []


def test_findings_name_category_and_class_and_say_what_to_do():
    findings = list(check_names("bird", ["Crow", "Fish Crow", "crow", "7", "<answer>"]))
    assert [(finding.level, finding.where) for finding in findings] == [
        ("error", "bird '<answer>'"),
        ("error", "bird 'Crow'"),
        ("warning", "bird"),
        ("warning", "bird 'Crow'"),
        ("warning", "bird 'crow'"),
    ]
    assert all(finding.kind == "class name" and finding.remedy for finding in findings)
    assert findings[2].what == "1 of 5 names are ids and no words: '7'"
