import pytest

from flows.gate import Approval, check_approval, next_part, pause_key


def test_a_part_ends_behind_the_next_stage_to_review():
    names = ["cot", "review", "sft", "tapo"]
    assert next_part(names, (), {"review", "tapo"}) == (["cot", "review"], "review")
    assert next_part(names, ("cot", "review"), {"review", "tapo"}) == (["sft", "tapo"], "tapo")
    assert next_part(names, names, {"review", "tapo"}) == ([], None)


def test_without_a_pause_all_is_one_part():
    assert next_part(["a", "b"], (), ()) == (["a", "b"], None)


def test_other_outputs_are_asked_about_again():
    entry = [{"path": "data/reviewed.jsonl", "md5": "a" * 32}]
    other = [{"path": "data/reviewed.jsonl", "md5": "b" * 32}]
    key = pause_key("predict@base", entry)
    assert key == pause_key("predict@base", entry)
    assert key != pause_key("predict@base", other)
    assert key.startswith("after-predict-base-")


def test_an_approval_is_kept_in_the_log():
    said = []
    check_approval("review", Approval(decision="go on", note="42 of 60 read"), said.append)
    assert said == ["review: approved: 42 of 60 read"]


def test_a_refusal_says_where_and_why():
    with pytest.raises(ValueError, match="stopped after review by its reviewer: too short; change"):
        check_approval("review", Approval(decision="stop", note="too short"), print)


def test_the_form_offers_going_on_and_stopping():
    schema = Approval.model_json_schema()["properties"]
    assert schema["decision"]["enum"] == ["go on", "stop"]
    assert schema["decision"]["default"] == "go on"


def test_an_unknown_answer_is_refused():
    with pytest.raises(ValueError):
        Approval(decision="perhaps")
