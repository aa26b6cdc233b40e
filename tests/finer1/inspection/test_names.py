import pytest

from finer1.inspection.names import check_names, collisions, is_number, nested, unusable
from finer1.reference.classes import released_classes


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
        ("Wr\u200ben", r"invisible character U\+200B"),
        ("Wr\u00aden", r"U\+00AD"),
        ("Wr\u200den", r"U\+200D"),
        ("\u0645\u200c", r"U\+200C"),
        ("...", "punctuation alone"),
        ("Wren \ud800", r"U\+D800"),
        ("Wren<|im_end|>", "<|im_end|>"),
        ("</think> Wren", "</think>"),
        ("<answer>Wren", "<answer>"),
        ('<img src="x">', "tag"),
        ("<s>", "tag"),
        # What a spreadsheet would run, once the name stands in a cell of a CSV file.
        ('=HYPERLINK("http://192.0.2.1")', "begins with =, which makes it a formula"),
        ("+1+cmd", r"begins with \+"),
        ("-2+3|cmd", "begins with -"),
        (" @SUM(A1)", "begins with @"),
    ],
)
def test_a_name_that_breaks_a_prompt_cannot_be_used(label, why):
    import re

    assert re.search(why.replace("|", r"\|"), unusable(label))


@pytest.mark.parametrize(
    "label",
    [
        *("F-16A/B", "Boeing 737-200", "Audi A5 Coupe 2012", "MG", "n" * 100, "3 < 5", "O'Hara"),
        *("caf\u00e9 noir", "-rf", "\u05e9\u05dc\u05d5\u05dd", "\u718a\u732b", "bird \U0001f426"),
        *("\u0645\u06cc\u200c\u0631", "\U0001f468\u200d\U0001f469"),
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


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("F-16", "F 16"),
        ("The Wren", "Wren"),
        ("Boat-tailed Grackle", "Boat tailed Grackle"),
        ("\uff37ren", "Wren"),
        ("Wren", "Wr\u200ben"),
        ("\u0645\u06cc\u200c\u0631", "\u0645\u06cc\u0631"),
        ("Wren.", "Wren"),
    ],
)
def test_names_that_are_one_answer_collide(one, other):
    assert collisions([one, other, "Robin"]) == [sorted([one, other])]


def test_names_of_the_release_do_not_collide():
    for dataset in ("aircraft", "bird", "car", "dog", "flower", "pet"):
        assert not collisions(released_classes(dataset))


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
