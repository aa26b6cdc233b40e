"""The stages that train, on a tiny random model of every family: real sft, triplets and tapo."""

import logging
import math

import pytest
import torch
from safetensors.torch import load_file

from finer1.chat import chat_messages
from finer1.policy.folder import load_policy
from tasks.concepts import concepts
from tasks.cot import cot
from tasks.download import download
from tasks.review import review
from tasks.sft import train as sft
from tasks.split import split
from tasks.tapo import train as tapo
from tasks.triplets import mine
from tests.finer1.engines.families import build_model

BODIES = {
    "download": download,
    "split": split,
    "concepts": concepts,
    "cot": cot,
    "review": review,
    "sft": sft,
    "triplets": mine,
}
ARCHITECTURES = {
    "qwen2_vl": "Qwen2VLForConditionalGeneration",
    "qwen3_vl": "Qwen3VLForConditionalGeneration",
    "llava_onevision": "LlavaOnevisionForConditionalGeneration",
    "internvl": "InternVLForConditionalGeneration",
}
ONE_STEP = {
    "tapo.steps": 1,
    "tapo.prompts_per_step": 2,
    "tapo.warmup_steps": 0,
    "tapo.keep_when_all_degenerate": True,
    "tapo.max_resamples": 0,
    "tapo.max_completion_tokens": 5,
}


@pytest.fixture
def train(make_context, own_images, tmp_path):
    """Run all stages up to tapo; metrics of sft and tapo, and the weights of both."""

    def train(model_type, forward="packed", stages=(*BODIES,)):
        base = tmp_path / "base"
        if not base.exists():
            build_model(ARCHITECTURES[model_type], base)
        changes = own_images[1] | ONE_STEP
        changes |= {"paths.base": str(base), "runtime.forward": forward, "sft.epochs": 1}
        measured = {}
        for stage in stages:
            context = make_context(stage, changes)
            measured[stage] = BODIES[stage](context)
        context = make_context("tapo", changes)
        measured["tapo"] = tapo(context)
        paths = context.params.paths
        weights = [load_file(path / "model.safetensors") for path in (base, paths.sft, paths.tapo)]
        return measured, paths, weights

    return train


@pytest.mark.slow
@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_both_stages_train_the_language_model_of_every_family(train, model_type, caplog):
    with caplog.at_level(logging.WARNING, "finer1.policy.forward"):
        measured, paths, (base, after_sft, after_tapo) = train(model_type)
    sentence = f"does not support model type {model_type}; plain is used"
    assert (sentence in caplog.text) is (model_type != "qwen2_vl")
    assert base.keys() == after_sft.keys() == after_tapo.keys()
    for before, after in ((base, after_sft), (after_sft, after_tapo)):
        moved = {name for name in before if not torch.equal(before[name], after[name])}
        assert moved
        assert all("language_model" in name or "lm_head" in name for name in moved)
    assert math.isfinite(measured["sft"]["train/loss"])
    assert measured["tapo"]["train/steps"] == 1
    _loads_and_writes(paths.tapo)


def _loads_and_writes(folder):
    model, processor = load_policy(folder, "cpu", train_vision=False)
    text = processor.apply_chat_template(
        chat_messages("What?", 0, ""), add_generation_prompt=True, tokenize=False
    )
    batch = processor.tokenizer([text], return_tensors="pt")
    assert model.generate(**batch, max_new_tokens=2).shape[1] > batch["input_ids"].shape[1]


@pytest.mark.slow
def test_a_step_of_qwen2_vl_is_the_same_packed_and_plain(train):
    _, _, (_, start, packed) = train("qwen2_vl")
    _, _, (_, _, plain) = train("qwen2_vl", "plain", stages=())
    moved = max(float((packed[name] - start[name]).abs().max()) for name in start)
    gap = max(float((packed[name] - plain[name]).abs().max()) for name in start)
    # AdamW's first updates have the size of the learning rate whatever the gradient's, so that
    # roundings of tiny gradients show; most weights do not differ at all.
    assert moved > 1e-4
    assert gap < 0.2 * moved
    differing = sum(int(((packed[n] - plain[n]).abs() > 1e-6).sum()) for n in start)
    assert differing < 0.01 * sum(value.numel() for value in start.values())
