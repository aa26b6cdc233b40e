import pytest

from finer1.evaluation.file_verdicts import judge_row
from finer1.evaluation.scored_file import ScoredRow
from finer1.evaluation.verdicts import AnswerSimilarity, category_labels, judge_model
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


@pytest.mark.parametrize(
    ("completion", "answer_from", "hedged"),
    [
        ("<answer>elm wren</answer><answer>oak wren</answer>", "tags", True),
        ("<answer>elm wren</answer><answer>elm wren</answer>", "tags", False),
        ("<think>oak wren</think><answer>elm wren</answer>", "tags", False),
        ("elm wren or oak wren", "tags", False),
        ("elm wren or oak wren", "text", True),
    ],
)
def test_a_hedge_is_the_same_in_a_run_and_in_a_file(verdict, completion, answer_from, hedged):
    row = verdict(completion, answer_from=answer_from)
    asked = ScoredRow("1.jpg", "?", "elm wren", completion, answer_from=answer_from)
    judged = judge_row(asked, "open", "shuffled", ("elm wren", "oak wren"))
    assert (row.is_hedged, judged.is_hedged) == (hedged, hedged)
    assert (row.answer, row.is_correct) == (judged.answer, judged.is_exact)


def test_the_released_format_needs_no_sections(verdict):
    row = verdict("<think>x</think><answer>elm wren</answer>")
    assert (row.is_tagged, row.is_formatted) == (True, False)
    assert verdict(answer="elm wren").is_tagged


def test_two_answer_elements_are_wrong_by_the_strict_rule_only(verdict):
    row = verdict("<answer>oak wren</answer><answer>elm wren</answer>")
    assert not row.is_correct
    assert row.is_correct_paper  # the released answer reaches from the first tag to the last


@pytest.mark.parametrize(("dataset", "right"), [("car", True), ("own_cars", False)])
def test_a_car_of_the_published_dataset_needs_no_year_by_the_released_rule(verdict, dataset, right):
    row = verdict("<answer>Kei</answer>", label="Kei Van 1990", dataset=dataset)
    assert row.is_correct_paper is right


@pytest.mark.parametrize(
    ("completion", "answer"),
    [
        (" Elm wren.\n", "Elm wren."),
        ("<answer>elm wren</answer> I think", "elm wren"),
        ("<answer>elm wren</answer><answer>elm wren</answer>", None),
        ("  ", None),
    ],
)
def test_a_model_asked_for_the_name_alone_answers_with_its_whole_output(
    verdict, completion, answer
):
    row = verdict(completion, answer_from="text")
    assert row.answer == answer
    assert row.is_correct is (answer is not None)
    assert not row.is_formatted


def test_the_dataset_is_read_from_the_image(verdict):
    assert verdict(answer="elm wren", dataset="nabirds").dataset == "nabirds"


def test_votes_are_counted_by_the_strict_rule(verdict):
    votes = tuple(f"<answer>{name}</answer>" for name in ("Elm Wren", "oak wren", "elm wren"))
    row = verdict(answer="oak wren", votes=(*votes, "elm wren"))
    assert (row.vote_share, row.is_vote_correct) == (2 / 4, True)


def test_without_votes_there_is_no_share(verdict):
    row = verdict(answer="elm wren")
    assert (row.vote_share, row.is_vote_correct) == (None, None)


def test_similarities_are_those_of_the_question(ask, predict):
    first, second = ask(0), ask(1)
    rows = judge_model(
        [first, second],
        [predict(first, ""), predict(second, "")],
        "tapo.jsonl",
        {second.id: AnswerSimilarity(0.25, 0.5)},
    )
    assert [(row.similarity, row.similarity_paper) for row in rows] == [(None, None), (0.25, 0.5)]


def test_a_model_may_answer_one_setting_alone_where_the_caller_says_so(ask, predict):
    closed, open_ = ask(setting="closed"), ask()
    predictions = [predict(closed, "<answer>elm wren</answer>")]
    with pytest.raises(ValueError, match="1 questions have no prediction"):
        judge_model([closed, open_], predictions, "clip.jsonl")
    (row,) = judge_model([closed, open_], predictions, "clip.jsonl", may_skip_setting=True)
    assert row.question_id == closed.id


def test_a_part_of_a_setting_is_refused_even_so(ask, predict):
    asked = [ask(0, "closed"), ask(1, "closed"), ask()]
    with pytest.raises(ValueError, match="1 questions have no prediction .*closed/elm wren/1"):
        judge_model(asked, [predict(asked[0], "")], "clip.jsonl", may_skip_setting=True)


def test_a_model_without_any_prediction_is_refused_even_so(ask):
    with pytest.raises(ValueError, match="1 questions have no prediction"):
        judge_model([ask()], [], "clip.jsonl", may_skip_setting=True)


def test_options_are_among_the_known_names(ask):
    asked = [ask(setting="closed", options=("elm wren", "puffin")), ask(label="auk")]
    assert category_labels(asked) == {"bird": ("auk", "elm wren", "puffin")}


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
