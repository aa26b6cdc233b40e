from dataclasses import replace

from finer1.review.texts import Texts, texts_of, with_texts
from tests.finer1.review.conftest import rationale

ROW = rationale("elm wren")
PROSE = (
    "A red crown.\nThe analysis of candidate subcategories:\n1. elm wren\n2. oak wren\n"
    "Comparison:\nOnly one has it.\nThe prediction is: elm wren"
)
RELEASED = replace(ROW, completion=f"<think>{PROSE}</think> <answer>elm wren</answer>")


def test_options_stand_one_per_line():
    assert texts_of(ROW).options == "elm wren\noak wren"


def test_untouched_fields_give_the_very_rationale():
    assert with_texts(ROW, texts_of(ROW)) is ROW
    assert with_texts(RELEASED, texts_of(RELEASED)) is RELEASED


def test_line_ends_of_a_browser_are_no_edit():
    row = replace(ROW, analysis="one\ntwo")
    assert with_texts(row, replace(texts_of(row), analysis="one\r\ntwo")) is row


def test_edited_fields_are_stripped():
    texts = Texts("", " blue \n", "\n elm wren \n\noak wren", "c ", " elm wren")
    edited = with_texts(ROW, texts)
    assert (edited.analysis, edited.options) == ("blue", ("elm wren", "oak wren"))
    assert (edited.comparison, edited.prediction) == ("c", "elm wren")
    assert edited.id == ROW.id


def test_released_prose_stands_in_one_field():
    assert texts_of(RELEASED) == Texts(prose=PROSE)


def test_edited_prose_is_the_completion_with_its_answer_and_its_sections():
    prose = PROSE.replace("A red crown", "A blue crown").replace("oak wren", "ash wren")
    edited = with_texts(RELEASED, Texts(prose=prose))
    assert edited.completion == f"<think>{prose}</think> <answer>elm wren</answer>"
    assert edited.options == ("elm wren", "ash wren")
    assert edited.analysis == "A blue crown."
