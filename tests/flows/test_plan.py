import pytest

from finer1.params import check_params, load_params, load_values, with_differences
from finer1.planning.counts import count
from finer1.sft_plan import SftPlan
from finer1.splits import choose_seen
from finer1.world.taxonomies import load_taxonomy
from flows.differences import differences_on
from flows.plan import plan_experiments


def no_data(params):
    return {}


def is_tracked(path):
    return str(path).startswith("models/base")


def group(rows, pairs=(), settings=(), needs=None):
    return {
        "paper": "Figure 3c", "about": "a test", "columns": ["open/unseen/accuracy"],
        "seeds": [0, 1], "settings": list(settings), "rows": rows, "needs": needs or {},
        "published": {}, "pairs": list(pairs),
    }  # fmt: skip


@pytest.fixture
def values(repository):
    values = load_values(repository / "params.yaml")
    values["experiments"] = {
        "default": {},
        "fast": {"sft.epochs": 1},
        "wrong": {"sft.epochs": -1},
        "both": group({"SFT": "default/sft", "fast SFT": "fast/sft"}, [["fast SFT", "SFT"]]),
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
    (planned,) = plan.groups
    assert planned.rows["fast: tapo"] == ("fast", "tapo")
    assert planned.group.pairs == (("fast: sft", "fast: base"), ("fast: tapo", "fast: sft"))


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


@pytest.fixture
def large(values):
    """Values with a full-scale setting and experiments that can run on it."""
    values["experiments"] |= {
        "large": {
            "download.datasets": ["bird"],
            "sft.lr": 5.0e-6,
            "sft.epochs": 10,
            "sft.max_epochs": 10,
            "tapo.steps": 47,
        },
        "larger": {"like": "large", "sft.batch_size": 64},
        "tuned": {"split.sft_shots": 4, "embedded": {"sft.lr": 6.0e-4}},
        "longer": {"tapo.steps": "= tapo.steps + 6"},
        "on_large": group({"tuned": "tuned/sft", "longer": "longer/tapo"}, settings=["large"]),
    }
    return values


def test_on_a_setting_its_differences_come_first_and_what_was_tuned_for_the_default_is_gone(large):
    plan = plan_experiments(large, ["on_large"], [3], no_data, is_tracked, "large")
    tuned, longer = plan.trials
    assert tuned.name == "large-tuned-seed3"
    assert tuned.differences == {
        "download.datasets": ["bird"],
        "sft.lr": 5.0e-6, "sft.epochs": 10, "sft.max_epochs": 10, "tapo.steps": 47,
        "split.sft_shots": 4, "seed": 3,
    }  # fmt: skip
    assert longer.differences["tapo.steps"] == 53  # 47 + 6, not 40 + 6


def test_without_a_setting_an_experiment_has_what_was_tuned_for_it(large):
    tuned, longer = plan_experiments(large, ["on_large"], [0], no_data, is_tracked).trials
    assert tuned.differences["sft.lr"] == 6.0e-4
    assert longer.differences["tapo.steps"] == 46


def test_a_setting_like_the_groups_own_will_do(large):
    assert plan_experiments(large, ["on_large"], None, no_data, is_tracked, "larger").trials


@pytest.mark.parametrize(
    ("name", "setting", "message"),
    [
        ("on_large", "fast", "on_large does not go with fast; it runs on large and on settings"),
        ("both", "large", "both is about the embedded default alone; run it without --on"),
        ("on_large", "larg", "there is no experiment larg; the nearest one is large"),
    ],
)
def test_a_setting_that_a_group_is_not_for_is_refused(large, name, setting, message):
    with pytest.raises(ValueError, match=message):
        plan_experiments(large, [name], None, no_data, is_tracked, setting)


def test_values_that_contradict_each_other_on_a_setting_are_refused(large):
    large["experiments"]["prose"] = {"sft.target": "prose", "tapo.format_rule": "tags"}
    large["experiments"]["strict"] = {"tapo.format_rule": "sections"}
    with pytest.raises(ValueError, match="experiment strict on prose: sft.target is prose"):
        plan_experiments(large, ["strict"], None, no_data, is_tracked, "prose")


def test_a_row_whose_need_is_not_met_is_left_out_with_the_pairs_that_name_it(values):
    values["experiments"]["three"] = group(
        {"a": "default/sft", "b": "fast/sft", "c": "fast/tapo"},
        [["a", "b"], ["c", "b"]],
        needs={"a": "clip"},
    )
    lacks = lambda need, params: f"no {need}"  # noqa: E731
    plan = plan_experiments(values, ["three"], [0], no_data, is_tracked, None, lacks)
    (planned,) = plan.groups
    assert planned.left_out == {"a": "no clip"}
    assert planned.group.pairs == (("c", "b"),)
    assert [trial.name for trial in plan.trials] == ["fast-seed0"]


def test_a_group_of_which_nothing_can_be_run_is_refused(values):
    values["experiments"]["one"] = group({"a": "default/sft"}, needs={"a": "decisions"})
    with pytest.raises(ValueError, match="one: no row can be run; no decisions"):
        plan_experiments(
            values, ["one"], None, no_data, is_tracked, None, lambda need, params: f"no {need}"
        )


def test_a_row_about_a_model_that_is_not_evaluated_is_refused(values):
    values["experiments"]["one"] = group({"a": "default/cot"})
    with pytest.raises(ValueError, match="the model cot, which default does not evaluate"):
        plan_experiments(values, ["one"], None, no_data, is_tracked)


def test_a_row_may_be_about_a_further_model(values):
    values["experiments"] |= {
        "asked": {"predict.models": {
            "cot": {"model": "= paths.base", "strategy": "cot", "max_tokens": None}}},
        "one": group({"a": "asked/cot"}),
    }  # fmt: skip
    (trial, _) = plan_experiments(values, ["one"], None, no_data, is_tracked).trials
    assert trial.differences["predict.models"]["cot"]["model"] == "models/base/world"


def test_a_base_that_the_run_makes_is_asked(values):
    entry = {"config": "recipe.yaml", "taxonomy": "embedded", "seed": 0}
    values["experiments"]["own"] = {
        "paths.bases": "data/bases",
        "pretrain.models": {"new": entry},
        "general.models": {"mine": {"model": "data/bases/new"}},
    }
    assert plan_experiments(values, ["own"], None, no_data, is_tracked).trials


def test_an_unknown_experiment_names_the_nearest_one(values):
    with pytest.raises(ValueError, match="no experiment fats; the nearest one is fast"):
        plan_experiments(values, ["fats"], None, no_data, is_tracked)


def num_sft_steps(params):
    """Steps of stage 1 of Fine-R1 itself."""
    if params.cot.source == "released":
        return count(params, params.paths.base).sft_steps
    classes = {("world", item.category, item.name) for item in load_taxonomy("embedded").species}
    num_seen = len(choose_seen(classes, params.split, params.seed))
    return SftPlan(num_seen * params.split.sft_shots, params.sft, params.seed).num_steps


@pytest.mark.parametrize("setting", [None, "fine_r1_3b", "fine_r1_7b"])
def test_the_training_methods_make_the_steps_of_both_stages(repository, setting):
    # Figure 3a compares them at equal optimizer steps.
    values = load_values(repository / "params.yaml")
    experiments = load_params(repository / "params.yaml").experiments

    def on(name):
        differences = differences_on(values, experiments, name, setting)
        return check_params(with_differences(values, differences), name)

    fine_r1, answer_only = on("tapo"), on("answer_only")
    num_steps = num_sft_steps(fine_r1) + fine_r1.tapo.steps * fine_r1.tapo.minibatches
    assert (answer_only.sft.steps, answer_only.tapo.steps) == (num_steps, 0)
    for name in ("cls_rl", "no_thinking_rl"):
        other = on(name)
        surplus = other.tapo.steps * other.tapo.minibatches - num_steps
        assert other.sft.steps == 0
        assert 0 <= surplus < other.tapo.minibatches  # a rollout batch is not broken up


@pytest.mark.parametrize(
    ("name", "setting"), [("figure_3a", "fine_r1_3b"), ("figure_3c", "fine_r1_7b")]
)
def test_a_figure_is_planned_on_its_setting(repository, name, setting):
    values = load_values(repository / "params.yaml")
    assert plan_experiments(values, [name], [0], no_data, is_tracked, setting).trials


def test_settings_of_stage_2_that_contradict_each_other_are_refused(values):
    values["experiments"]["odd"] = {"tapo.prompts_per_step": 9, "tapo.minibatches": 2}
    with pytest.raises(ValueError, match=r"experiment odd: tapo\.minibatches \(2\) must divide"):
        plan_experiments(values, ["odd"], None, no_data, is_tracked)


def test_answers_are_learnt_from_the_images_of_both_stages(repository):
    values = load_values(repository / "params.yaml")
    params = load_params(repository / "params.yaml")
    answer_only = differences_on(values, params.experiments, "answer_only", None)
    assert answer_only["split.sft_shots"] == params.split.sft_shots + params.split.tapo_shots


def test_each_seed_of_twin_worlds_has_a_world_and_a_base_of_its_own(repository):
    values = load_values(repository / "params.yaml")
    plan = plan_experiments(values, ["figure_3c"], [0, 4], no_data, is_tracked, "twin_worlds")
    bases = {trial.seed: trial.differences["paths.base"] for trial in plan.trials}
    assert bases == {0: "models/base/twins_0", 4: "models/base/twins_4"}
    made = {trial.seed: trial.differences["pretrain.models"] for trial in plan.trials}
    assert made[4]["twins_4"]["seed"] == 4
