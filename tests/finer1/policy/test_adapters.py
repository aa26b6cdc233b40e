import json

import pytest
import torch

from finer1.policy.adapters import add_adapters
from finer1.policy.folder import load_policy, save_policy
from finer1.policy.storage import ADAPTERS
from finer1.policy.weights import named_weights

TARGETS = ("q_proj", "up_proj")


@pytest.fixture
def adapted(tiny_model):
    """The tiny model with adapters that do something."""

    def build(in_vision=False, seed=1):
        model, _ = load_policy(tiny_model, "cpu", train_vision=in_vision)
        add_adapters(model, 2, 6, TARGETS, in_vision, seed)
        with torch.no_grad():
            for name, value in model.named_parameters():
                if "lora_B" in name:
                    value.fill_(0.01)
        return model

    return build


def test_a_merged_model_computes_the_same(adapted, tiny_model):
    model = adapted()
    plain, _ = load_policy(tiny_model, "cpu", train_vision=False)
    ids = torch.arange(12).unsqueeze(0)
    before = plain(ids).logits
    plain.load_state_dict(dict(named_weights(model)), strict=False)  # the tied head is left out
    torch.testing.assert_close(plain(ids).logits, model(ids).logits, rtol=1e-4, atol=1e-6)
    assert (plain(ids).logits - before).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("in_vision", "layers"),
    [
        (False, {"language_model.layers.0", "language_model.layers.1"}),
        (
            True,
            {
                *("language_model.layers.0", "language_model.layers.1"),
                *("visual.blocks.0", "visual.blocks.1"),
            },
        ),
    ],
)
def test_adapters_alone_are_trained(adapted, in_vision, layers):
    trained = [name for name, p in adapted(in_vision).named_parameters() if p.requires_grad]
    assert all(".lora_A." in name or ".lora_B." in name for name in trained)
    assert {".".join(name.split(".")[1:4]) for name in trained} == layers


def test_a_start_is_a_function_of_its_seed(adapted):
    states = [adapted(seed=seed).state_dict() for seed in (1, 1, 2)]
    name = next(name for name in states[0] if "lora_A" in name)
    assert states[0][name].equal(states[1][name])
    assert not states[0][name].equal(states[2][name])


def test_targets_that_are_nowhere_are_refused(tiny_model):
    model, _ = load_policy(tiny_model, "cpu", train_vision=False)
    with pytest.raises(ValueError, match="c_attn"):
        add_adapters(model, 2, 6, ["c_attn"], False, 0)


def test_a_saved_model_has_its_adapters_by_themselves(adapted, tiny_model, tmp_path):
    from finer1.engines.adapters import merge_adapter
    from finer1.manifest import check_folder

    model = adapted(in_vision=True)
    save_policy(model, tiny_model, tmp_path / "tapo")
    adapters = tmp_path / "tapo" / ADAPTERS
    base = json.loads((adapters / "adapter_config.json").read_text())["base_model_name_or_path"]
    assert (adapters / base).resolve() == tiny_model
    assert {path.name for path in adapters.iterdir()} == {
        "adapter_config.json", "adapter_model.safetensors"
    }  # fmt: skip
    check_folder(tmp_path / "tapo")
    plain, _ = load_policy(tiny_model, "cpu", train_vision=False)
    merged = dict(merge_adapter(plain, adapters).named_parameters())
    for name, value in named_weights(model):
        torch.testing.assert_close(merged[name], value, rtol=1e-6, atol=1e-7)


def test_a_model_without_adapters_has_no_folder_of_them(tiny_model, tmp_path):
    model, _ = load_policy(tiny_model, "cpu", train_vision=False)
    save_policy(model, tiny_model, tmp_path / "tapo")
    assert not (tmp_path / "tapo" / ADAPTERS).exists()
