import pytest

from finer1.export.training import UNKNOWN, describe_training, describe_writing


def changed(params, sft_steps=None, tapo_steps=10, target="rationale"):
    sft = params.sft.model_copy(update={"steps": sft_steps, "target": target})
    tapo = params.tapo.model_copy(update={"steps": tapo_steps})
    return params.model_copy(update={"sft": sft, "tapo": tapo})


def test_two_stages_are_told_where_two_were_trained(run_params):
    told = describe_training(changed(run_params), "tapo")
    assert told.startswith("It was trained in two stages by finer1")
    assert "supervised on rationales in four parts (SFT), then by reinforcement learning" in told


@pytest.mark.parametrize(
    ("stage", "sft_steps", "tapo_steps", "said", "unsaid"),
    [
        ("sft", None, 10, "one stage by finer1", "TAPO"),
        ("tapo", None, 0, "one stage by finer1", "TAPO"),
        ("tapo", 0, 10, "one stage by finer1", "SFT"),
        ("sft", 0, 10, "It was not trained", "stage"),
        (None, None, 10, UNKNOWN, "stage"),
    ],
)
def test_a_stage_that_did_not_train_is_not_told(
    run_params, stage, sft_steps, tapo_steps, said, unsaid
):
    told = describe_training(changed(run_params, sft_steps, tapo_steps), stage)
    assert said in told
    assert unsaid not in told


def test_what_it_writes_is_what_it_learnt(run_params):
    params = changed(run_params)
    assert "in four parts" in describe_writing(params, "tapo", "trained")
    assert describe_writing(params, "tapo", "direct") == "answers with a name alone"
    prose = changed(run_params, target="prose")
    assert "in prose" in describe_writing(prose, "sft", "trained")
    for unknown in (describe_writing(None, None, "trained"), describe_writing(params, None, "cot")):
        assert unknown == "writes a text that ends in a name"
