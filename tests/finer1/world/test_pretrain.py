"""Where a base starts that is taught another taxonomy."""

from pathlib import Path

import pytest
import torch

from finer1.world.architecture import build_model, train_tokenizer
from finer1.world.pretrain import recipe_key, start_from
from finer1.world.recipe import read_recipe
from finer1.world.taxonomies import load_taxonomy
from finer1.world.vocabulary import vocabulary

ROOT = Path(__file__).parents[3]
BASE = ROOT / "models/base/world"
CONFIGS = ROOT / "finer1/world/configs"


@pytest.fixture
def fresh():
    """A random model for a recipe and a taxonomy, with its tokenizer."""

    def build(config, taxonomy):
        tokenizer = train_tokenizer(vocabulary(load_taxonomy(taxonomy)))
        return build_model(tokenizer, read_recipe(CONFIGS / config).architecture, 0), tokenizer

    return build


def test_a_taught_base_starts_from_the_weights_of_another(fresh):
    model, tokenizer = fresh("renamed.yaml", "twins_0")
    before = model.lm_head.weight.clone()
    start_from(BASE, model, tokenizer)
    other, _ = fresh("renamed.yaml", "twins_0")
    start_from(BASE, other, tokenizer)
    assert not torch.equal(model.lm_head.weight, before)
    assert torch.equal(model.lm_head.weight, other.lm_head.weight)


@pytest.mark.parametrize(
    ("config", "taxonomy", "folder", "message"),
    [
        ("renamed.yaml", "large_0", BASE, "has other words than this taxonomy"),
        ("qwen2_vl.yaml", "twins_0", BASE, "is of another architecture"),
        ("renamed.yaml", "twins_0", ROOT / "no_base", "where no base is"),
    ],
)
def test_a_start_that_does_not_fit_is_refused(fresh, config, taxonomy, folder, message):
    with pytest.raises(ValueError, match=message):
        start_from(folder, *fresh(config, taxonomy))


def test_checkpoints_are_of_the_weights_that_they_start_from(tmp_path):
    world = load_taxonomy("twins_0")
    recipe = read_recipe(CONFIGS / "renamed.yaml").model_copy(update={"start": tmp_path})
    weights = tmp_path / "model.safetensors"
    keys = []
    for content in (b"old", b"new", b"old"):
        weights.write_bytes(content)
        keys.append(recipe_key(recipe, world, 0))
    assert keys[0] == keys[2] != keys[1]
