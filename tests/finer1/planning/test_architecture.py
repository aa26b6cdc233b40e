import json

import pytest
import torch
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
)

from finer1.planning.architecture import (
    find_architecture,
    missing_weights,
    published_configs,
    read_architecture,
)


def test_parameters_of_a_small_model(small):
    # Layer: q, o 8x8 each, k, v 8x4 each, gate, up, down 8x16 each: 128 + 64 + 384 = 576;
    # biases 8 + 4 + 4, norms 2x8: 608.
    assert small.decoder.layer_linear == 576
    assert small.decoder.layer == 608
    # Embedding 10x8, last norm 8.
    assert small.decoder.parameters == 80 + 2 * 608 + 8
    # Block: qkv, proj 4x4x4 = 64, mlp 3x4x6 = 72, biases 12 + 4 + 6 + 6 + 4 = 32, norms 8.
    assert small.tower.block == 64 + 72 + 32 + 8
    # Patches of 2x3x2x2 = 24 numbers; merger 16x16 + 16x8, biases 16 + 8, norm 4.
    assert small.tower.parameters == 24 * 4 + 176 + 256 + 128 + 24 + 4


@pytest.mark.parametrize("hub_id", published_configs())
def test_parameters_are_those_of_the_model_itself(hub_id):
    config = published_configs()[hub_id]
    vision = dict(config["vision_config"])
    text = {key: value for key, value in config.items() if key not in ("vision_config",)}
    tied = config["tie_word_embeddings"]
    if config["model_type"] == "qwen2_5_vl":
        vision["out_hidden_size"] = config["hidden_size"]
        whole = Qwen2_5_VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=tied)
        kind = Qwen2_5_VLForConditionalGeneration
    else:
        vision["hidden_size"] = config["hidden_size"]
        whole = Qwen2VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=tied)
        kind = Qwen2VLForConditionalGeneration
    with torch.device("meta"):
        model = kind(whole)
    found = read_architecture(config, hub_id)
    assert found.parameters == sum(value.numel() for value in model.parameters())
    tower = sum(value.numel() for value in model.model.visual.parameters())
    assert found.tower.parameters == tower
    assert read_architecture(json.loads(whole.to_json_string()), hub_id) == found


def test_adapters_of_the_3b(published):
    # Rank 16 on q_proj and down_proj: 16 x (2048 + 2048 + 11008 + 2048) in each of 36 layers.
    adapters = published["Qwen2.5-VL-3B-Instruct"].adapters(16, ("q_proj", "down_proj"), False)
    assert adapters == 36 * 16 * 17152


def test_the_embedded_base_is_read_from_its_folder(repository):
    model, source = find_architecture(repository / "models/base/world")
    assert source.endswith("models/base/world/config.json")
    size = (repository / "models/base/world/model.safetensors").stat().st_size
    assert size == pytest.approx(2 * model.parameters, rel=0.01)  # bfloat16, and a header


def test_an_absent_folder_of_a_published_name_is_known(tmp_path):
    model, source = find_architecture(tmp_path / "Qwen2.5-VL-7B-Instruct")
    assert model.decoder.layers == 28
    assert source == "the published config.json of Qwen/Qwen2.5-VL-7B-Instruct"
    assert "download Qwen/Qwen2.5-VL-7B-Instruct" in missing_weights(
        tmp_path / "Qwen2.5-VL-7B-Instruct"
    )


def test_an_unknown_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no config\.json, and its name is none of Qwen2\.5-VL"):
        find_architecture(tmp_path / "mine")


def test_another_model_type_is_refused():
    with pytest.raises(ValueError, match="not the model type llava"):
        read_architecture({"model_type": "llava"}, "x")


def test_a_config_without_a_size_is_refused():
    with pytest.raises(ValueError, match="does not say vision_config"):
        read_architecture({"model_type": "qwen2_vl"}, "x")
