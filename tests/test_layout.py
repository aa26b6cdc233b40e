"""The rules of the design that can be checked by reading the code."""

import ast
import re
from pathlib import Path

import pytest

from finer1.params import ExperimentGroup, Params, check_params, load_values, with_differences
from finer1.report.published_ablations import published_ablations
from flows.deps import code_deps, listed_deps
from flows.differences import differences_on
from flows.imports import ROOMS, imported_modules
from flows.plan import plan_experiments

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(
    path.relative_to(ROOT)
    for room in (*ROOMS, "benchmarks")
    for path in (ROOT / room).rglob("*.py")
)
STAGES = sorted(load_values(ROOT / "dvc.yaml")["stages"])
VALUES = load_values(ROOT / "params.yaml")
EXPERIMENTS = sorted(VALUES["experiments"])
ENTRIES = check_params(VALUES, "params.yaml").experiments
ON_SETTINGS = [
    (name, setting)
    for name, entry in ENTRIES.items()
    if isinstance(entry, ExperimentGroup)
    for setting in entry.settings
]
BUDGET = [
    ("paths", "base"), ("download", "datasets"), ("concepts", "engine"), ("cot", "engine"),
    ("sft", "lr"), ("sft", "epochs"), ("sft", "batch_size"), ("tapo", "lr"),
    ("tapo", "prompts_per_step"), ("tapo", "max_completion_tokens"), ("predict", "max_tokens"),
]  # fmt: skip
MAY_IMPORT = {"finer1": {"finer1"}, "tasks": {"finer1", "tasks"}, "flows": set(ROOMS)}
MAY_IMPORT["benchmarks"] = {"finer1"}
PLACES = {
    "mlflow": ("tasks/tracking/",),
    "prefect": ("flows/",),
    "dvc": ("flows/dag.py",),
    "ray": ("finer1/engines/shards.py", "flows/ray_trials.py"),
}
MAY_READ_THE_ENVIRONMENT = (
    "tasks/stage.py",
    "tasks/launching.py",
    "tasks/shards.py",
    "tasks/tracking/",
    "flows/",
)
NO_STAGE = {"seed", "paths", "prompt", "runtime", "comparison", "experiments"}
NO_STAGE_MODULE = {
    "__init__", "asking", "stage", "launching", "shards", "faults", "identity", "origin",
    "exit_codes", "attempts", "space", "tracked",
}  # fmt: skip
NO_SECTION = {"baseline"}
"""It has that of predict: further models are asked as the run's own are, or nothing compares."""

every_module = pytest.mark.parametrize("path", MODULES, ids=str)


@every_module
def test_rooms_import_only_downwards(path):
    rooms = {name.split(".")[0] for name in imported_modules(ROOT / path)} & set(ROOMS)
    assert rooms <= MAY_IMPORT[path.parts[0]]


@every_module
def test_each_outer_tool_has_its_place(path):
    packages = {name.split(".")[0] for name in imported_modules(ROOT / path)}
    for tool, places in PLACES.items():
        assert tool not in packages or str(path).startswith(places)


@every_module
def test_the_environment_is_read_at_the_border(path):
    names = {
        node.attr
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
    }
    reads = bool(names & {"environ", "getenv"})
    assert not reads or str(path).startswith(MAY_READ_THE_ENVIRONMENT)


@every_module
def test_no_loader_is_left_to_ask_whether_to_run_a_models_code(path):
    # transformers asks on the terminal, and runs it on `y`, where the argument is missing.
    calls = [
        node
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and re.fullmatch(r"Auto\w+\.from_(pretrained|config)|vllm\.LLM", ast.unparse(node.func))
    ]
    given = [{word.arg: ast.unparse(word.value) for word in node.keywords} for node in calls]
    assert all(words.get("trust_remote_code") == "False" for words in given)


@every_module
def test_modules_are_short(path):
    assert len((ROOT / path).read_text(encoding="utf-8").splitlines()) <= 300


@every_module
def test_functions_are_short(path):
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    long = [node.name for node in functions if (node.end_lineno or 0) - node.lineno >= 50]
    assert long == []


@every_module
def test_code_is_ascii(path):
    assert (ROOT / path).read_text(encoding="utf-8").isascii()


def test_every_stage_has_a_module_and_a_section():
    modules = {path.stem for path in MODULES if path.parent == Path("tasks")} - NO_STAGE_MODULE
    sections = set(Params.model_fields) - NO_STAGE
    assert set(STAGES) == modules
    assert set(STAGES) - NO_SECTION == sections


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_has_one_name_everywhere(stage):
    block = load_values(ROOT / "dvc.yaml")["stages"][stage]
    body = block.get("do", block)
    assert body["cmd"].split()[:4] == ["exec", "python", "-m", f"tasks.{stage}"]
    metrics = f"{stage}@${{key}}.json" if "do" in block else f"{stage}.json"
    assert f"${{paths.metrics}}/{metrics}" in body["metrics"]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_what_it_imports(stage):
    # `python -m flows.deps --write` puts it right.
    assert sorted(listed_deps(ROOT)[stage]) == code_deps(stage, ROOT)


def test_runtime_is_a_parameter_of_no_stage():
    stages = load_values(ROOT / "dvc.yaml")["stages"].values()
    named = {name for block in stages for name in block.get("do", block).get("params", [])}
    assert not any(name.split(".")[0] == "runtime" for name in named)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_validates(name):
    assert plan_experiments(VALUES, [name], None, lambda dataset: {}, lambda path: True).trials


def test_params_are_the_same_after_dvc_has_written_them(tmp_path):
    # A run of an experiment has differences in its copy of the file, and DVC folds long lines: a
    # mapping in braces whose keys have blanks would break.
    from dvc.utils.serialize import modify_yaml

    copy = tmp_path / "params.yaml"
    copy.write_bytes((ROOT / "params.yaml").read_bytes())
    with modify_yaml(str(copy)) as values:
        values["seed"] = 1
    assert load_values(copy) == {**VALUES, "seed": 1}


def test_groups_name_only_experiments():
    groups = [entry for entry in ENTRIES.values() if isinstance(entry, ExperimentGroup)]
    used = {row.partition("/")[0] for group in groups for row in group.rows.values()}
    settings = {setting for group in groups for setting in group.settings}
    assert used | settings <= set(ENTRIES)


@pytest.mark.parametrize(("name", "setting"), ON_SETTINGS)
def test_every_group_validates_on_every_setting_that_it_names(name, setting):
    plan = plan_experiments(VALUES, [name], None, lambda p: {}, lambda path: True, setting)
    assert plan.trials


@pytest.mark.parametrize(("name", "setting"), ON_SETTINGS)
def test_no_experiment_changes_data_models_or_budget_of_a_setting(name, setting):
    alone = with_differences(VALUES, differences_on(VALUES, ENTRIES, setting, None))
    plan = plan_experiments(VALUES, [name], [0], lambda p: {}, lambda path: True, setting)
    for trial in plan.trials:
        own = with_differences(VALUES, trial.differences)
        for section, key in BUDGET:
            assert own[section][key] == alone[section][key], (trial.name, section, key)


def test_rows_are_published_under_the_names_that_groups_give():
    for group in ENTRIES.values():
        if isinstance(group, ExperimentGroup) and group.published:
            rows = published_ablations()[group.paper]
            assert set(group.published.values()) <= set(rows)
            columns = {name for values in rows.values() for name in values}
            assert columns & set(group.columns)  # something stands beside ours
