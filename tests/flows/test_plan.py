import pytest

from finer1.params import load_values
from flows.plan import plan_experiments


def no_data(params):
    return {}


def is_tracked(path):
    return str(path).startswith("models/base")


@pytest.fixture
def values(repository):
    values = load_values(repository / "params.yaml")
    values["experiments"] = {
        "default": {},
        "fast": {"sft.epochs": 1},
        "wrong": {"sft.epochs": -1},
        "both": {
            "seeds": [0, 1],
            "rows": {"SFT": "default/sft", "fast SFT": "fast/sft"},
            "pairs": [["fast SFT", "SFT"]],
        },
    }
    return values


def test_a_group_runs_each_experiment_at_each_seed(values):
    plan = plan_experiments(values, ["both"], None, no_data, is_tracked)
    assert [trial.name for trial in plan.trials] == [
        "default-seed0",
        "fast-seed0",
        "default-seed1",
        "fast-seed1",
    ]


def test_seeds_of_the_command_line_win(values):
    plan = plan_experiments(values, ["both"], [7], no_data, is_tracked)
    assert [trial.name for trial in plan.trials] == ["default-seed7", "fast-seed7"]


def test_a_run_shared_by_two_names_is_made_once(values):
    plan = plan_experiments(values, ["fast", "fast"], None, no_data, is_tracked)
    assert [trial.name for trial in plan.trials] == ["fast-seed0"]


def test_a_single_experiment_compares_its_models(values):
    plan = plan_experiments(values, ["fast"], None, no_data, is_tracked)
    assert plan.rows["fast: tapo"] == ("fast", "tapo")
    assert plan.pairs == (("fast: sft", "fast: base"), ("fast: tapo", "fast: sft"))


def test_each_run_gets_what_its_dataset_needs(values):
    values["experiments"]["own"] = {"download.datasets": ["moths"]}
    contents = {"moths": {"download.content": "abc"}, "world": {}}
    data = lambda params: contents[params.download.datasets[0]]  # noqa: E731
    plan = plan_experiments(values, ["fast", "own"], None, data, is_tracked)
    assert [trial.differences for trial in plan.trials] == [
        {"sft.epochs": 1, "seed": 0},
        {"download.content": "abc", "download.datasets": ["moths"], "seed": 0},
    ]


def test_an_experiment_may_be_like_another(values):
    values["experiments"] |= {
        "slow": {"sft.epochs": 9, "sft.lr": 0.1},
        "slower": {"like": "slow", "sft.epochs": 10},
    }
    plan = plan_experiments(values, ["slower"], None, no_data, is_tracked)
    assert plan.trials[0].differences == {"sft.epochs": 10, "sft.lr": 0.1, "seed": 0}


def test_experiments_that_are_like_each_other_are_refused(values):
    values["experiments"] |= {"hen": {"like": "egg"}, "egg": {"like": "hen"}}
    with pytest.raises(ValueError, match=r"hen is like itself \(hen, egg\)"):
        plan_experiments(values, ["hen"], None, no_data, is_tracked)


def test_a_wrong_value_is_refused_before_anything_runs(values):
    with pytest.raises(ValueError, match=r"experiment wrong: sft\.epochs"):
        plan_experiments(values, ["wrong"], None, no_data, is_tracked)


@pytest.mark.parametrize(
    ("section", "path"),
    [
        ("predict", "models/mine"),
        ("robustness", "../lora"),
        ("general", "mine"),
        ("analysis", "mine"),
    ],
)
def test_a_model_that_a_copy_lacks_is_refused(values, section, path):
    how = {"strategy": "direct", "max_tokens": None} if section in ("predict", "robustness") else {}
    values["experiments"]["own"] = {f"{section}.models": {"mine": {"model": path, **how}}}
    with pytest.raises(ValueError) as error:
        plan_experiments(values, ["own"], None, no_data, is_tracked)
    assert str(error.value) == (
        f"experiment own: {section}.models.mine names {path}, which the copy of the project that "
        "the run works in does not have; write its absolute path"
    )


@pytest.mark.parametrize("path", ["models/base/world", "models/tapo", "/models/mine"])
def test_a_model_that_a_copy_finds_is_asked(values, path):
    values["experiments"]["own"] = {"general.models": {"mine": {"model": path}}}
    assert plan_experiments(values, ["own"], None, no_data, is_tracked).trials


def test_an_unknown_experiment_names_the_nearest_one(values):
    with pytest.raises(ValueError, match="no experiment fats; the nearest one is fast"):
        plan_experiments(values, ["fats"], None, no_data, is_tracked)
