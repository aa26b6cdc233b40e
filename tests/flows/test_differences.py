import pytest

from flows.differences import absolute, differences_on, experiment_differences

VALUES = {
    "download": {"datasets": ["world"]},
    "split": {"sft_shots": 1},
    "paths": {"base": "models/base/world"},
    "sft": {"lr": 3.0e-4, "epochs": 2, "target": "rationale"},
    "tapo": {"steps": 40, "minibatches": 2, "lr": 1.0e-4},
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("= tapo.steps + 6", 46),
        ("= 11 + tapo.steps * tapo.minibatches", 91),
        ("= (tapo.steps + 1) // 2 - 1", 19),
        ("= paths.base", "models/base/world"),
        ("none of it", "none of it"),
    ],
)
def test_a_relative_value_is_worked_out_on_what_holds_before(text, value):
    assert absolute(VALUES, {"key": text}) == {"key": value}


def test_relative_values_are_found_in_mappings_and_lists():
    nested = {"predict.models": {"a": {"model": "= paths.base"}}, "b": ["= tapo.steps"]}
    found = absolute(VALUES, nested)
    assert found == {"predict.models": {"a": {"model": "models/base/world"}}, "b": [40]}


@pytest.mark.parametrize(
    "text", ["= tapo.steps +", "= tapo.step", "= open('x')", "= tapo.steps ** 9", "= 1 // 0", "= "]
)
def test_what_is_no_relative_value_is_refused(text):
    with pytest.raises(ValueError, match="tapo.steps: = ?.* is no relative value; write names"):
        absolute(VALUES, {"tapo.steps": text})


def test_own_values_win_over_those_of_what_it_is_like_whatever_block_they_stand_in():
    experiments = {
        "first": {"sft.lr": 1.0, "embedded": {"sft.epochs": 3}},
        "second": {"like": "first", "sft.epochs": 4},
        "third": {"like": "second", "embedded": {"sft.lr": 2.0}},
    }
    assert experiment_differences(experiments, "third") == {"sft.lr": 2.0, "sft.epochs": 4}


def test_on_a_setting_full_scale_stands_in_place_of_embedded():
    experiments = {"e": {"embedded": {"sft.epochs": 3}, "full_scale": {"sft.epochs": 5}}}
    assert experiment_differences(experiments, "e") == {"sft.epochs": 3}
    assert experiment_differences(experiments, "e", is_full_scale=True) == {"sft.epochs": 5}


def test_relative_values_of_an_experiment_see_the_setting():
    experiments = {"big": {"tapo.steps": 47}, "more": {"tapo.steps": "= tapo.steps + 6"}}
    assert differences_on(VALUES, experiments, "more", "big") == {"tapo.steps": 53}


def test_which_block_counts_on_a_setting_follows_from_its_datasets():
    block = {"embedded": {"sft.epochs": 3}, "full_scale": {"sft.epochs": 5}}
    experiments = {"e": block, "worlds": {}, "photos": {"download.datasets": ["bird"]}}
    assert differences_on(VALUES, experiments, "e", "worlds") == {"sft.epochs": 3}
    assert differences_on(VALUES, experiments, "e", "photos")["sft.epochs"] == 5


def test_an_unknown_key_is_refused_on_a_setting_too():
    experiments = {"big": {}, "e": {"tapo.warmup_step.steps": 5}}
    with pytest.raises(ValueError, match="tapo.warmup_step.steps is not a known key; the nearest"):
        differences_on(VALUES, experiments, "e", "big")


def test_an_experiment_may_not_change_the_budget_of_a_setting():
    experiments = {
        "big": {"tapo.lr": 1.0e-6},
        "tuned": {"tapo.lr": 1.0e-3},
        "own": {"like": "tuned"},
    }
    with pytest.raises(ValueError) as error:
        differences_on(VALUES, experiments, "own", "big")
    assert str(error.value) == (
        "own cannot run on big: tuned sets tapo.lr to 0.001, which is for the embedded default, "
        "where big has 1e-06; in params.yaml move it under `embedded` of tuned, or write a value "
        "for `full_scale` there"
    )


@pytest.mark.parametrize(
    "differences", [{"tapo.steps": 0}, {"tapo.lr": 1.0e-6}, {"sft.target": "answer"}]
)
def test_switching_off_repeating_the_setting_and_ablating_are_allowed(differences):
    experiments = {"big": {"tapo.lr": 1.0e-6}, "e": differences}
    found = differences_on(VALUES, experiments, "e", "big")
    assert found == {"tapo.lr": 1.0e-6} | differences


def test_a_block_is_a_mapping():
    with pytest.raises(ValueError, match="experiments.e.embedded: write dotted keys with values"):
        experiment_differences({"e": {"embedded": 3}}, "e")


def test_the_seed_of_the_run_stands_in_values_and_names():
    experiments = {
        "worlds": {
            "paths.base": "models/base/twins_{seed}",
            "pretrain.models": {"twins_{seed}": {"taxonomy": "twins_{seed}", "seed": "= seed"}},
        }
    }
    assert differences_on({"seed": 3}, experiments, "worlds", None) == {
        "paths.base": "models/base/twins_3",
        "pretrain.models": {"twins_3": {"taxonomy": "twins_3", "seed": 3}},
    }
