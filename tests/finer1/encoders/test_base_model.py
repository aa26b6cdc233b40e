import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from finer1.encoders.base_model import load_base_encoder
from finer1.policy.folder import load_policy


def changed(tiny_model, folder, part):
    """A copy of the model with one weight of that part changed."""
    shutil.copytree(tiny_model, folder)
    path = folder / "model.safetensors"
    weights = load_file(path)
    name = next(name for name in sorted(weights) if part in name)
    save_file(weights | {name: weights[name] + 1}, path, metadata={"format": "pt"})
    return folder


def test_it_gives_mean_image_tokens(tiny_model, images):
    model, processor = load_policy(tiny_model, "cpu", train_vision=False)
    got = load_base_encoder(tiny_model, "cpu").encode(images())
    for picture, embedding in zip(images(), got, strict=True):
        batch = processor.image_processor(images=[picture], return_tensors="pt")
        output = model.model.visual(batch["pixel_values"], grid_thw=batch["image_grid_thw"])
        torch.testing.assert_close(
            embedding, output.pooler_output.mean(dim=0), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize(("part", "same"), [("visual", False), ("layers.0.mlp.up_proj", True)])
def test_its_identity_is_that_of_the_vision_tower_alone(tiny_model, tmp_path, part, same):
    # Another language model sees the same.
    other = load_base_encoder(changed(tiny_model, tmp_path / "other", part), "cpu")
    assert (load_base_encoder(tiny_model, "cpu").sha256 == other.sha256) is same


@pytest.mark.gpu
def test_it_runs_on_the_device_and_gives_its_embeddings_on_the_cpu(tiny_model, images):
    got = load_base_encoder(tiny_model, "cuda").encode(images())
    expected = load_base_encoder(tiny_model, "cpu").encode(images())
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-4)  # sums in another order
