"""Anchor, positive and negative of three sizes: each has image tokens of its own number."""

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from finer1.policy.folder import load_policy
from finer1.records import Triplet
from finer1.tapo.display import Outlets
from finer1.tapo.samplers.local import LocalEngine
from finer1.tapo.stream import PromptStream
from finer1.tapo.training import build_sampler, train_tapo
from finer1.tapo.updates import lay_out

SIZES = {"a0": (32, 32), "a1": (64, 32), "b0": (48, 64)}
# In squares of 16 pixels, which make a token of the tiny model: 2 x 2, 4 x 2, 3 x 4.
TOKENS = {"a0": 4, "a1": 8, "b0": 12}
FEW = {"anchor_rollouts": 2, "positive_rollouts": 2, "max_completion_tokens": 4, "augment": False}


def read(name):
    image = Image.linear_gradient("L").resize(SIZES[name]).convert("RGB")
    image.paste((200, 40, 90), (4, 4, 12, 20))
    return image


@pytest.fixture(scope="module")
def mixed():
    """One triplet of images of three sizes."""
    return [
        Triplet("a0", "a", "bird", ("a1",), "b", ("b0",), 0.5, "base_model", "0" * 64),
    ]


@pytest.mark.parametrize("update_image", ["anchor", "own"])
def test_each_image_keeps_its_own_tokens(tiny_model, mixed, params, update_image):
    settings = params.tapo.model_copy(update=FEW | {"update_image": update_image})
    model, processor = load_policy(tiny_model, "cpu", train_vision=False)
    stream = PromptStream(mixed, read, {"bird": ("a", "b")}, settings, 8, seed=0)
    sampler = build_sampler(
        model, processor, stream, "", 8, LocalEngine(model, processor.tokenizer.pad_token_id, 8)
    )
    groups = sampler.sample([0])
    laid = lay_out(model, processor, groups, settings, "", has_negatives=True)
    prompts = [
        *laid.conditions.prompts.images,
        *([] if laid.negatives is None else laid.negatives.prompts.images),
    ]
    tokens = {int(prompt.grid.prod()) // 4 for prompt in prompts}  # merged 2 x 2
    trained = {"anchor": ("a0", "b0"), "own": ("a0", "a1", "b0")}[update_image]
    assert tokens == {TOKENS[name] for name in trained}


@pytest.mark.parametrize("update_image", ["anchor", "own"])
def test_a_step_trains_on_three_sizes(tiny_model, mixed, params, tmp_path, update_image):
    # Whatever the random model writes, all of it is trained on.
    changes = {"steps": 1, "prompts_per_step": 2, "minibatches": 1, "warmup_steps": 1, "lr": 1e-3}
    kept = {"keep_when_all_degenerate": True, "max_resamples": 0, "update_image": update_image}
    logs = {}
    train_tapo(
        start=tiny_model,
        triplets=mixed,
        read_image=read,
        labels={"bird": ("a", "b")},
        settings=params.tapo.model_copy(update=FEW | changes | kept),
        runtime=params.runtime,
        system="",
        seed=3,
        output=tmp_path / "model",
        resume=tmp_path / "resume",
        outlets=Outlets(
            lambda metrics, step: logs.update({step: metrics}),
            lambda name, rows: None,
            lambda name, image, step: None,
            False,
        ),
    )
    before, after = (
        load_file(folder / "model.safetensors") for folder in (tiny_model, tmp_path / "model")
    )
    assert any(not torch.equal(before[name], after[name]) for name in after)
    assert logs[1]["loss/inter_class_kl"] != 0
