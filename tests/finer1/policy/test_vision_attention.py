"""Windows in one call are windows in a loop, bit for bit."""

import pytest
import torch
from transformers import AutoModelForImageTextToText

from finer1.policy import vision_attention
from finer1.policy.folder import load_policy, save_policy
from finer1.policy.vision_attention import BATCHED_WINDOWS, batch_windows

# Windows are 4 x 4 patches; 6 x 10 patches leave windows of 16, 8 and 4, 8 x 8 only full ones.
GRIDS = {"equal": [[1, 8, 8]], "ragged": [[1, 6, 10], [1, 8, 8], [1, 2, 14]]}
grids = pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)


@pytest.fixture
def model(tiny_model):
    model = AutoModelForImageTextToText.from_pretrained(tiny_model, dtype=torch.float32)
    return model.train()


def run(model, grid):
    """Features of random images of these grids, and the gradients of the tower's weights."""
    generator = torch.Generator().manual_seed(0)
    grid = torch.tensor(grid)
    pixels = torch.randn(int(grid.prod(-1).sum()), 3 * 2 * 8 * 8, generator=generator)
    model.zero_grad()
    features = torch.cat(model.get_image_features(pixels, grid).pooler_output)
    (features * torch.randn(features.shape, generator=generator)).sum().backward()
    gradients = {name: p.grad.clone() for name, p in model.model.visual.named_parameters()}
    return features.detach(), gradients


@grids
def test_batched_windows_equal_the_loop_bit_for_bit(model, grid):
    features, gradients = run(model, grid)
    batch_windows(model)
    batched, batched_gradients = run(model, grid)
    assert torch.equal(batched, features)
    assert gradients.keys() == batched_gradients.keys()
    assert all(torch.equal(batched_gradients[name], value) for name, value in gradients.items())


def test_batched_windows_equal_the_loop_with_checkpointing(model):
    features, gradients = run(model, GRIDS["ragged"])
    batch_windows(model)
    model.gradient_checkpointing_enable({"use_reentrant": False})
    batched, batched_gradients = run(model, GRIDS["ragged"])
    assert torch.equal(batched, features)
    assert all(torch.equal(batched_gradients[name], value) for name, value in gradients.items())


def test_windows_of_one_length_are_one_call(model, monkeypatch):
    calls = []
    attend = vision_attention.sdpa_attention_forward

    def count(module, query, *args, **kwargs):
        calls.append(tuple(query.shape[::2]))  # windows, patches
        return attend(module, query, *args, **kwargs)

    monkeypatch.setattr(vision_attention, "sdpa_attention_forward", count)
    batch_windows(model)
    run(model, GRIDS["ragged"])
    # Windows of 6 x 10: 2 of 16, 1 + 2 of 8, 1 of 4; of 8 x 8: 4 of 16; of 2 x 14: 3 of 8 and 1
    # of 4. The second block sees whole images: 64, 60 and 28 patches.
    assert calls == [(6, 16), (6, 8), (2, 4), (1, 64), (1, 60), (1, 28)]


def test_policies_are_loaded_with_batched_windows_and_saved_without_a_trace(tiny_model, tmp_path):
    model, _ = load_policy(tiny_model, "cpu", train_vision=False)
    assert model.model.visual.config._attn_implementation == BATCHED_WINDOWS
    assert model.config.text_config._attn_implementation == "sdpa"
    save_policy(model, tiny_model, tmp_path / "saved")
    assert BATCHED_WINDOWS not in (tmp_path / "saved" / "config.json").read_text(encoding="utf-8")


def test_another_implementation_stays(model):
    model.set_attn_implementation({"vision_config": "eager"})
    batch_windows(model)
    assert model.config.vision_config._attn_implementation == "eager"
