import pytest

from finer1.evaluation.verdicts import judge_model
from finer1.prompts import rationale_completion, sections_text


def test_the_gold_completion_is_right_by_both_rules(verdict):
    row = verdict(answer="elm wren")
    assert row.is_correct
    assert row.is_correct_paper
    assert row.is_formatted


@pytest.mark.parametrize("answer", ["Elm Wren.", "the elm-wren", "elm_wren"])
def test_case_separators_article_and_final_punctuation_do_not_matter(verdict, answer):
    assert verdict(answer=answer).is_correct


def test_an_answer_that_lists_every_option_is_right_by_the_released_rule_only(verdict):
    row = verdict(answer="ash wren, elm wren, oak wren")
    assert not row.is_correct
    assert row.is_correct_paper
    assert row.is_hedged


def test_one_name_is_no_hedge(verdict):
    assert not verdict(answer="oak wren").is_hedged


def test_two_answer_elements_are_wrong(verdict):
    assert not verdict("<answer>elm wren</answer><answer>oak wren</answer>").is_correct


@pytest.mark.parametrize(("setting", "right"), [("open", True), ("closed", False)])
def test_without_tags_the_released_rule_reads_the_whole_output_of_open_questions(
    verdict, setting, right
):
    row = verdict("It is an elm wren", setting=setting)
    assert row.is_correct_paper is right
    assert not row.is_correct


def test_a_label_in_the_rationale_alone_is_no_answer(verdict):
    # The options section holds the label; the closed answer does not.
    assert not verdict(answer="oak wren").is_correct_paper


def test_an_answer_alone_is_right_but_not_formatted(verdict):
    row = verdict("<answer>elm wren</answer>")
    assert row.is_correct
    assert not row.is_formatted
    assert not row.is_truth_among_options
    assert not row.is_answer_predicted


@pytest.mark.parametrize(
    ("options", "prediction", "among", "predicted"),
    [
        (("Elm wren", "oak wren"), "the elm wren", True, True),
        (("oak wren", "ash wren"), "elm wren", False, True),
        (("elm wren", "oak wren"), "oak wren", True, False),
    ],
)
def test_options_and_prediction_sections_are_compared_by_name(
    verdict, options, prediction, among, predicted
):
    sections = sections_text("small", options, "alike", prediction)
    row = verdict(rationale_completion(sections, "elm wren"))
    assert row.is_truth_among_options is among
    assert row.is_answer_predicted is predicted


def test_positions_count_from_one(verdict):
    # Options in this order: ash wren, elm wren, oak wren, reed tern.
    row = verdict(answer="reed tern", setting="closed")
    assert (row.truth_position, row.answer_position) == (2, 4)


def test_an_answer_outside_the_options_has_no_position(verdict):
    row = verdict(answer="elm wren", setting="closed", options=("elm wren", "oak wren"))
    other = verdict(answer="puffin", setting="closed")
    assert (row.answer_position, other.answer_position) == (1, None)


def test_an_open_question_has_no_positions(verdict):
    row = verdict(answer="elm wren")
    assert (row.truth_position, row.answer_position) == (None, None)


def test_the_named_sub_category_is_the_label_as_spelt_in_the_data(verdict):
    assert verdict(answer="OAK WREN").named == "oak wren"
    assert verdict(answer="a kind of wren").named is None


@pytest.mark.parametrize(
    "completion", ["", "<answer>", "</think>" * 50, "<answer></answer>", "\x00"]
)
def test_any_completion_is_judged(verdict, completion):
    assert not verdict(completion).is_correct


def test_a_missing_prediction_is_named(ask, predict):
    first, second = ask(0), ask(1)
    with pytest.raises(ValueError, match=r"tapo\.jsonl: 1 questions .*open/elm wren/1"):
        judge_model([first, second], [predict(first, "")], "tapo.jsonl")


def test_predictions_for_other_questions_are_refused(ask, predict):
    first, second = ask(0), ask(1)
    with pytest.raises(ValueError, match="1 predictions have no question"):
        judge_model([first], [predict(first, ""), predict(second, "")], "tapo.jsonl")


def test_two_predictions_for_one_question_are_refused(ask, predict):
    with pytest.raises(ValueError, match="1 predictions have no question"):
        judge_model([ask()], [predict(ask(), "a"), predict(ask(), "b")], "tapo.jsonl")
