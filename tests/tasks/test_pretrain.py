"""The stage that makes a base of the world."""

from pathlib import Path

import pytest
import torch
import yaml
from transformers import AutoModelForImageTextToText

from tasks.pretrain import make, metric_name

ROOT = Path(__file__).parents[2]


@pytest.fixture
def recipe(tmp_path):
    """The second architecture's recipe with phases of a few steps and a small pool."""
    values = yaml.safe_load((ROOT / "finer1/world/configs/qwen2_vl.yaml").read_text())
    values["pool"]["images"] = 96
    for phase in values["phases"].values():
        phase["schedule"]["steps"] = 2
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def entry(config, **changes):
    return {"config": str(config), "taxonomy": "embedded", "seed": 0} | changes


@pytest.mark.slow
def test_the_same_entry_gives_the_same_base(make_context, recipe, monkeypatch, tmp_path):
    monkeypatch.setattr("finer1.world.measure._MAX_TOKENS", 2)
    models = {"small": entry(recipe), "again": entry(recipe), "other": entry(recipe, seed=1)}
    folders = {}
    for name in models:
        context = make_context(f"pretrain@{name}", {"pretrain.models": models})
        metrics = make(context, name)
        folders[name] = context.params.paths.bases / name
    assert {"pretrain/s2_true_attributes", "pretrain/open_genus_nuisance_0.8"} < metrics.keys()
    assert all(0 <= value <= 1 for value in metrics.values())
    weights = {name: (path / "model.safetensors").read_bytes() for name, path in folders.items()}
    assert weights["small"] == weights["again"] != weights["other"]
    card = (folders["other"] / "README.md").read_text(encoding="utf-8")
    assert "A `Qwen2VLForConditionalGeneration` of 1," in card
    assert f"pretrain --config {recipe.as_posix()} --seed 1`" in card
    model = AutoModelForImageTextToText.from_pretrained(folders["small"])
    assert (model.config.model_type, model.dtype) == ("qwen2_vl", torch.bfloat16)


def test_a_base_without_an_entry_is_refused(make_context):
    context = make_context("pretrain@x", {"pretrain.models": {"mine": entry("recipe.yaml")}})
    with pytest.raises(ValueError, match=r"pretrain\.models has no x; it has mine"):
        make(context, "x")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"taxonomy": "huge"}, "there is no taxonomy huge"),
        ({"config": "no/recipe.yaml"}, r"no/recipe\.yaml cannot be read"),
    ],
)
def test_a_wrong_entry_is_refused_before_anything_is_trained(make_context, recipe, changes, words):
    context = make_context("pretrain@x", {"pretrain.models": {"x": entry(recipe) | changes}})
    with pytest.raises(ValueError, match=words):
        make(context, "x")


def test_a_figure_has_a_name_that_a_metric_may_have():
    name = metric_name("closed, options one of each genus, nuisance 0.8")
    assert name == "pretrain/closed_options_one_of_each_genus_nuisance_0.8"
