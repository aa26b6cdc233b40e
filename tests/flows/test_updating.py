import pytest

from flows.dag import Stage
from flows.updating import Request, chosen_stages


def graph():
    """split -> sft -> predict@sft -> score, and predict@base beside it."""
    needs = {
        "split": (),
        "sft": ("split",),
        "predict@base": ("split",),
        "predict@sft": ("split", "sft"),
        "score": ("predict@base", "predict@sft"),
    }
    return [Stage(name, given, 0, False, 1.0) for name, given in needs.items()]


def names(**request):
    return [stage.name for stage in chosen_stages(graph(), Request([], **request))]


def test_all_stages_are_chosen_when_none_is_named():
    assert names() == ["split", "sft", "predict@base", "predict@sft", "score"]


def test_named_stages_bring_those_that_they_need():
    assert names(stages=["predict@sft"]) == ["split", "sft", "predict@sft"]
    assert names(stages=["predict@sft"], only=True) == ["predict@sft"]


def test_an_evaluation_trains_nothing():
    kinds = frozenset({"predict", "score"})
    assert names(only=True, kinds=kinds) == ["predict@base", "predict@sft", "score"]


@pytest.mark.parametrize("request_of", [{"stages": ["sfd"]}, {"pauses": frozenset({"sfd"})}])
def test_an_unknown_stage_is_refused_with_the_known_ones(request_of):
    with pytest.raises(ValueError, match="there is no stage sfd; the stages are predict@base, "):
        names(**request_of)
