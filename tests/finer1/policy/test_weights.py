"""What is handed to an engine is what a saved model folder holds."""

import pytest
import torch

from finer1.policy.adapters import add_adapters
from finer1.policy.folder import load_policy, save_policy
from finer1.policy.weights import named_weights


@pytest.fixture
def model(tiny_model):
    return load_policy(tiny_model, "cpu", train_vision=True)[0]


def saved(model, tiny_model, folder):
    """The weights of the saved model, read again."""
    save_policy(model, tiny_model, folder)
    again, _ = load_policy(folder, "cpu", train_vision=True)
    return dict(again.named_parameters())


def assert_equal(weights, expected):
    assert weights.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(weights[name], value.detach(), msg=name)


def test_weights_are_named_and_whole(model, tiny_model, tmp_path):
    assert_equal(dict(named_weights(model)), saved(model, tiny_model, tmp_path / "model"))


def test_adapters_are_merged(model, tiny_model, tmp_path):
    before = dict(named_weights(model))
    add_adapters(model, 2, 6, ["q_proj", "down_proj"], in_vision=True, seed=0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.fill_(0.1)
    weights = dict(named_weights(model))
    changed = {name for name in weights if not torch.equal(weights[name], before[name])}
    assert changed
    assert all(name.endswith(("q_proj.weight", "down_proj.weight")) for name in changed)
    assert_equal(weights, saved(model, tiny_model, tmp_path / "model"))
