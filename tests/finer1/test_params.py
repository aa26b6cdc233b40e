import time
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from finer1.params import (
    check_params,
    known_keys,
    load_params,
    load_values,
    nearest_key,
    with_differences,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def values():
    return yaml.safe_load((ROOT / "params.yaml").read_text())


def test_the_projects_own_parameters_are_valid():
    assert load_params(ROOT / "params.yaml").tapo.anchor_rollouts == 5


def test_an_unknown_key_names_the_nearest_known_one(values):
    values["tapo"]["clip_hi"] = 0.3
    with pytest.raises(ValueError, match=r"tapo.clip_hi is not a known key.*tapo.clip_high"):
        check_params(values, "params.yaml")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"source": "released", "part": "validation"}, "^x: questions: source is .* part is val"),
        ({"source": "released", "num_options": 3}, r"part is test and num_options 3; set part"),
        ({"options": "foci", "part": "validation"}, "options are foci, .* part is validation"),
        ({"options": "foci", "num_options": 5}, "num_options 5; set part to test and num_options"),
    ],
)  # fmt: skip
def test_questions_that_contradict_themselves_are_refused(values, changes, words):
    values["questions"] |= changes
    with pytest.raises(ValueError, match=words):
        check_params(values, "x")


@pytest.mark.parametrize("target", ["prose", "free"])
def test_no_sections_under_the_reward_for_them_are_refused(values, target):
    values["sft"]["target"] = target
    words = rf"^x: sft.target is {target}.*set tapo.format_rule to tags"
    with pytest.raises(ValueError, match=words):
        check_params(values, "x")
    values["tapo"]["format_rule"] = "tags"
    assert check_params(values, "x").sft.target == target


@pytest.mark.parametrize(
    ("key", "value"), [("show_concepts", False), ("filter", False), ("per_class", 2)]
)
def test_what_a_teacher_is_asked_is_refused_where_none_is(values, key, value):
    values["cot"] |= {"source": "released", key: value}
    with pytest.raises(ValueError, match=rf"cot\.{key} changes what a teacher writes, but"):
        check_params(values, "x")
    values["cot"]["source"] = "teacher"
    assert check_params(values, "x")


@pytest.mark.parametrize(("name", "words"), [("base", "model of the run itself"), ("A", "pattern")])
def test_a_further_model_has_a_name_of_its_own(values, name, words):
    entry = {"model": "models/base/world", "strategy": "direct", "max_tokens": None}
    values["predict"]["models"] = {name: entry}
    with pytest.raises(ValueError, match=words):
        check_params(values, "x")


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("world", {}, "world is the committed base"),
        ("A", {}, "pattern"),
        ("other", {"seed": -1}, "greater than or equal to 0"),
        ("other", {"recipe": "x"}, "recipe is not a known key"),
    ],
)
def test_a_base_that_cannot_be_made_is_refused(values, name, changes, words):
    entry = {"config": "recipe.yaml", "taxonomy": "embedded", "seed": 0} | changes
    values["pretrain"]["models"] = {name: entry}
    with pytest.raises(ValueError, match=words):
        check_params(values, "x")


@pytest.mark.parametrize("tokens", [1, 2048, None])
def test_a_further_model_may_write_longer_completions(values, tokens):
    entry = {"model": "m", "strategy": "cot", "max_tokens": tokens}
    values["predict"]["models"] = values["robustness"]["models"] = {"x": entry}
    params = check_params(values, "x")
    assert params.predict.models["x"].max_tokens == tokens
    assert params.robustness.models["x"].max_tokens == tokens


@pytest.mark.parametrize(
    ("section", "key", "value", "sentence"),
    [
        ("robustness", "corruptions", ["fog", "fog"], "fog comes twice; name each once"),
        ("robustness", "corruptions", [], "name at least one"),
        ("robustness", "severities", [2, 1, 2], "2 comes twice; name each once"),
        ("robustness", "severities", [], "name at least one"),
        ("general", "tasks", ["mme", "mme"], "mme comes twice; name each once"),
        ("general", "tasks", [], "name at least one"),
    ],
)
def test_what_is_run_is_named_once_each(values, section, key, value, sentence):
    values[section][key] = value
    with pytest.raises(ValueError) as error:
        check_params(values, "x")
    assert str(error.value) == f"x: {section}.{key}: {sentence}"


@pytest.mark.parametrize("key", ["robustness.corruptions", "general.tasks"])
def test_what_cannot_be_run_is_the_only_thing_reported(values, key):
    section, name = key.split(".")
    values[section][name] = ["rain"]
    with pytest.raises(ValueError) as error:
        check_params(values, "x")
    (line,) = str(error.value).splitlines()
    assert line.startswith(f"x: {key}.0: Input should be ")


def test_released_questions_in_the_stored_order_are_valid(values):
    values["questions"] |= {"source": "released", "order": "stored"}
    assert check_params(values, "params.yaml").questions.num_options == 4


def test_a_missing_key_is_named(values):
    del values["sft"]["lr"]
    with pytest.raises(ValueError, match="sft.lr is missing"):
        check_params(values, "params.yaml")


def test_every_wrong_key_is_reported_at_once(values):
    values["sft"]["lr"] = -1
    values["split"]["sft_shots"] = 0
    with pytest.raises(ValueError) as error:
        check_params(values, "params.yaml")
    assert "sft.lr" in str(error.value)
    assert "split.sft_shots" in str(error.value)


def test_broken_yaml_is_one_sentence(tmp_path):
    (tmp_path / "params.yaml").write_text("a: [")
    with pytest.raises(ValueError, match="cannot be read"):
        load_params(tmp_path / "params.yaml")


def test_a_key_that_comes_twice_is_refused(tmp_path):
    (tmp_path / "params.yaml").write_text("seed: 1\nsft:\n  lr: 1\n  lr: 2\n")
    with pytest.raises(ValueError, match=r"params.yaml cannot be read: the key lr comes twice"):
        load_params(tmp_path / "params.yaml")


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in pairwise("abcdefghi")
)
"""9^9 values in 500 bytes."""
REFUSED_YAML = {
    "an object of Python": "seed: !!python/object:os.stat_result {}",
    "a call of Python": "seed: !!python/object/apply:os.system [touch ran]",
    "a new object of Python": "seed: !!python/object/new:os.system [touch ran]",
    "a name of Python": "seed: !!python/name:os.system",
    "a module of Python": "seed: !!python/module:os",
    "a tag of its own": "seed: !run touch ran",
    "billion laughs": BOMB,
    "billion laughs by merging": "a: &a {x: 1}\nb: &b {<<: *a}\nc: {<<: [*a, *b]}",
    "lists in lists": "seed: " + "[" * 50_000,
    "mappings in mappings": "seed: " + "{a: " * 20_000,
    "a key that is a list": "? [a, b]\n: 1",
    "an endless value": "seed: " + "x" * (1 << 21),
}


@pytest.mark.parametrize("text", REFUSED_YAML.values(), ids=REFUSED_YAML)
def test_a_file_of_values_that_could_run_or_exhaust_is_refused_at_once(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(text)
    start = time.process_time()
    with pytest.raises(ValueError, match=r"params.yaml (cannot be read|has \d+ bytes)"):
        load_values(Path("params.yaml"))
    assert time.process_time() - start < 1
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


@pytest.mark.parametrize("entry", [None, 5, ["sft.lr"]])
def test_an_experiment_that_is_no_mapping_is_one_sentence(values, entry):
    values["experiments"]["tapo"] = entry
    with pytest.raises(ValueError, match=r"params.yaml: experiments.tapo: write dotted keys"):
        check_params(values, "params.yaml")


def test_a_difference_may_be_a_new_entry_of_a_mapping(values):
    changed = with_differences(values, {"report.caveats.fungus": ["few images"]})
    assert check_params(changed, "test").report.caveats["fungus"] == ("few images",)


@pytest.mark.parametrize("key", ["report.title.bird", "report.bird", "sft.lr.first"])
def test_a_difference_below_a_single_value_is_refused(values, key):
    with pytest.raises(ValueError, match=f"{key} is not a known key"):
        with_differences(values, {key: 1})


def test_known_keys_reach_into_nested_sections():
    assert "download.world.nuisance" in known_keys()
    assert nearest_key("download.world.nuisence") == "download.world.nuisance"


def test_every_parameter_has_a_description():
    from finer1.params import Params

    def undescribed(section, prefix):
        for name, field in section.model_fields.items():
            kind = field.annotation
            if isinstance(kind, type) and hasattr(kind, "model_fields"):
                yield from undescribed(kind, f"{prefix}{name}.")
            elif not field.description and name != "seed":
                yield f"{prefix}{name}"

    assert list(undescribed(Params, "")) == []


COMMIT = "0123456789abcdef" * 2 + "01234567"


@pytest.mark.parametrize("source", [f"hub:a/b-c.d@{COMMIT}", "hub:/data/copy", "hub:./copy"])
def test_a_copy_is_a_commit_or_a_folder(values, source):
    values["download"]["bird"]["source"] = source
    assert check_params(values, "test").download.bird.source == source


@pytest.mark.parametrize(
    "source", ["hub:a/b", "hub:a/b@main", f"hub:a/b@{COMMIT[:7]}", f"hub:a@{COMMIT}", "hub:copy"]
)
def test_a_copy_without_its_commit_is_refused(values, source):
    values["download"]["bird"]["source"] = source
    with pytest.raises(ValueError, match=r"download.bird.source: write .*40 hex digits"):
        check_params(values, "test")


@pytest.mark.parametrize("names", [["bird", "bird"], ["../bird"], ["Bird"], ["a" * 65], [""], []])
def test_names_of_datasets_are_plain_and_come_once(values, names):
    values["download"]["datasets"] = names
    with pytest.raises(ValueError, match=r"download.datasets"):
        check_params(values, "test")


@pytest.mark.parametrize(
    ("key", "text", "words"),
    [
        ("statement", "this is it", "write {name} once, and no other brace"),
        ("statement", "{name} or {name}", "write {name} once, and no other brace"),
        ("prompt", "What {kind} is it?", "it may have {category} once, and no other brace"),
    ],
)
def test_texts_of_the_analysis_have_the_braces_that_are_filled(values, key, text, words):
    section = values["analysis"]
    (section if key == "prompt" else section["separability"])[key] = text
    with pytest.raises(ValueError, match=words):
        check_params(values, "x")


@pytest.mark.parametrize(
    "launcher",
    [
        {"strategy": "none", "processes": 2, "nodes": 1},
        {"strategy": "ddp", "processes": 1, "nodes": 1},
    ],
)
def test_a_launcher_that_starts_one_process_or_none_of_several_is_refused(values, launcher):
    values["runtime"]["launcher"] = launcher
    with pytest.raises(ValueError, match="one process goes with none, several with ddp"):
        check_params(values, "x")
    values["runtime"]["launcher"] = {"strategy": "ddp", "processes": 1, "nodes": 2}
    assert check_params(values, "x")
