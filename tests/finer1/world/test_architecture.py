"""Both architectures with random weights: ours beside transformers' own forward."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor

from finer1.world.architecture import build_model, build_processor, train_tokenizer
from finer1.world.batches import batch_loss, collate
from finer1.world.drawing import draw
from finer1.world.language import Dialogue
from finer1.world.recipe import read_recipe
from finer1.world.vision import encode, to_patches

ROOT = Path(__file__).parents[3]
CONFIGS = ROOT / "finer1" / "world" / "configs"
FAMILIES = ("qwen2_5_vl", "qwen2_vl")
PIECES = ["user", "assistant", "What", " bird", " is", " this", " wren", "red"]
VALUES = ("red", "dark", "hooked", "plain", "forked")


@pytest.fixture(scope="module", params=FAMILIES)
def made(request):
    """Model and processor of a family; weights so large that images and positions matter."""
    architecture = read_recipe(CONFIGS / f"{request.param}.yaml").architecture
    tokenizer = train_tokenizer(PIECES)
    model = build_model(tokenizer, architecture, seed=0).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4 if parameter.ndim == 2 else 1)
    return model, build_processor(tokenizer, architecture)


@pytest.fixture(scope="module")
def images():
    from finer1.world.taxonomy import ATTRIBUTES

    values = tuple(choices[0] for choices in ATTRIBUTES["bird"].values())
    return [draw("bird", values, seed, 0.5) for seed in (5, 6)]


def test_the_batched_tower_equals_the_models_own(made, images):
    model, processor = made
    batch = processor.image_processor(images=images, return_tensors="pt")
    with torch.no_grad():
        own = model.model.visual(batch["pixel_values"], batch["image_grid_thw"]).pooler_output
        batched = encode(model.model.visual, to_patches(np.stack(images)))
    assert batched.shape == (2, 16, 128)
    assert (batched[0] - batched[1]).abs().max() > 1e-2  # the images differ, and it shows
    torch.testing.assert_close(batched.flatten(0, 1), own, rtol=1e-4, atol=1e-4)


def test_the_loss_is_that_of_the_models_own_forward(made, images):
    model, processor = made
    dialogues = [
        Dialogue("What bird is this", "red wren", image=0),
        Dialogue("What is this", "wren", image=1),
    ]
    batch = collate(dialogues, processor.tokenizer)
    with torch.no_grad():
        features = encode(model.model.visual, to_patches(np.stack(images)))
        ours = batch_loss(model, batch, features)
        own = sum(
            _own_loss(model, processor, *pair) for pair in zip(dialogues, images, strict=True)
        )
        swapped = batch_loss(model, batch, features.flip(0))
    torch.testing.assert_close(ours, own, rtol=1e-4, atol=1e-4)
    assert (swapped - own).abs() > 1e-2


def _own_loss(model, processor, dialogue, image):
    """Sum of the target's cross-entropies over sqrt(n), by the processor and the whole model."""
    turn = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": dialogue.user}]}
    prompt = processor.apply_chat_template([turn], add_generation_prompt=True, tokenize=False)
    text = f"{prompt}{dialogue.target}<|im_end|>"
    batch = processor(text=[text], images=[image], return_tensors="pt")
    n = len(processor.tokenizer(f"{dialogue.target}<|im_end|>").input_ids)
    logits = model(**batch).logits[0, -n - 1 : -1]
    losses = torch.nn.functional.cross_entropy(logits, batch["input_ids"][0, -n:], reduction="none")
    return losses.sum() / n**0.5


def test_the_default_recipe_starts_where_the_committed_base_did():
    """Its configuration gives the same random weights, in the same order of draws."""
    folder = ROOT / "models" / "base" / "world"
    config = AutoConfig.from_pretrained(folder)
    tokenizer = AutoProcessor.from_pretrained(folder).tokenizer
    architecture = read_recipe(CONFIGS / "qwen2_5_vl.yaml").architecture
    built = build_model(tokenizer, architecture, seed=3)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        fresh = AutoModelForImageTextToText.from_config(config, dtype=torch.float32)
    values = fresh.state_dict()
    assert built.state_dict().keys() == values.keys()
    assert all(torch.equal(value, values[name]) for name, value in built.state_dict().items())
    kept = {"architectures", "dtype", "transformers_version", "_name_or_path"}
    ours, theirs = (
        {key: value for key, value in part.to_dict().items() if key not in kept}
        for part in (built.config.text_config, config.text_config)
    )
    assert ours == theirs


def test_the_second_architecture_is_another_one(made):
    model, processor = made
    tower = model.model.visual
    is_older = model.config.model_type == "qwen2_vl"
    assert type(tower.blocks[0].norm1).__name__ == (
        "LayerNorm" if is_older else "Qwen2_5_VLRMSNorm"
    )
    assert hasattr(tower.blocks[0].mlp, "gate_proj") != is_older
    assert type(processor).__name__ == ("Qwen2VLProcessor" if is_older else "Qwen2_5_VLProcessor")
