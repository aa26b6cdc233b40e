"""What a recipe of a base may say."""

from pathlib import Path

import pytest
import yaml

from finer1.world.recipe import read_recipe

CONFIGS = Path(__file__).parents[3] / "finer1" / "world" / "configs"


@pytest.fixture
def recipe(tmp_path):
    """Read the recipe of the second architecture with a value changed, by dotted key."""

    def read(key, value):
        values = yaml.safe_load((CONFIGS / "qwen2_vl.yaml").read_text())
        *sections, name = key.split(".")
        target = values
        for section in sections:
            target = target[section]
        target[name] = value
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump(values))
        return read_recipe(path)

    return read


def test_the_axes_share_a_heads_dimensions_as_qwens_do(recipe):
    # Qwen2-VL-2B: heads of 128 dimensions, 64 pairs, [16, 24, 24].
    assert recipe("architecture.text.num_heads", 4).architecture.text.mrope_section == [4, 6, 6]
    assert recipe("architecture.text.num_heads", 8).architecture.text.mrope_section == [2, 3, 3]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("architecture.text.num_head", 4, "architecture.text has hidden_size, intermediate_size"),
        ("architecture.family", "llava", "Input should be 'qwen2_5_vl' or 'qwen2_vl'"),
        ("architecture.text.hidden_size", 8, "greater than or equal to 16"),
        ("architecture.text.hidden_size", 2048, "less than or equal to 1024"),
        ("architecture.text.num_heads", 3, "must be num_heads (3) times a multiple of 16"),
        ("architecture.text.num_key_value_heads", 3, "(3) must divide num_heads (4)"),
        ("architecture.vision.num_heads", 5, "must be num_heads (5) times a multiple of 4"),
        ("architecture.vision.intermediate_size", 200, "must be a multiple of vision.hidden_size"),
        ("phases.joint.schedule.lr", 0, "phases.joint.schedule.lr: Input should be greater than 0"),
        ("phases.text.schedule.steps", 0, "phases.text.schedule.steps: Input should be greater"),
        ("start", "models/base/world", "give both and start: null, or null for both and a start"),
        ("phases.text", None, "give both and start: null, or null for both and a start"),
        ("pool.nuisance", 1.5, "pool.nuisance: Input should be less than or equal to 1"),
        ("pool.images", 8, "pool.images: Input should be greater than or equal to 64"),
    ],
)
def test_a_wrong_recipe_is_one_sentence_with_its_file(recipe, key, value, words):
    with pytest.raises(ValueError) as error:
        recipe(key, value)
    (line,) = str(error.value).splitlines()
    assert "recipe.yaml: " in line
    assert words in line


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_of_ours_can_be_read(path):
    assert read_recipe(path).phases.joint.schedule.steps >= 300
