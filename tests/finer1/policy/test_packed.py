"""The packed row gives what TRL's kind of forward gives: log-probabilities and gradients."""

import logging
from dataclasses import replace

import pytest
import torch
from peft import LoraConfig, get_peft_model
from PIL import Image

from finer1.policy import encoding, packed_attention
from finer1.policy.encoding import Conditions, encode_prompts, stack_prompts
from finer1.policy.packed import obstacle
from finer1.policy.packed_plan import AttentionPlan, Span
from tests.finer1.engines.families import build_model


def with_lora(model):
    torch.manual_seed(0)
    targets = ["q_proj", "v_proj", "down_proj"]
    config = LoraConfig(r=4, target_modules=targets, task_type="CAUSAL_LM")
    adapted = get_peft_model(model, config)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:  # as it starts, an adapter changes nothing
                parameter.normal_(std=0.1)
    return adapted


@pytest.mark.parametrize("train_vision", [False, True])
def test_packed_equals_plain(make_scene, assert_same, train_vision):
    scene = make_scene(train_vision=train_vision)
    assert_same(scene.gradients("packed"), scene.gradients("plain"))


@pytest.mark.parametrize("train_vision", [False, True])
def test_packed_equals_plain_for_the_older_family(make_scene, assert_same, tmp_path, train_vision):
    build_model("Qwen2VLForConditionalGeneration", tmp_path)
    scene = make_scene(train_vision=train_vision, folder=tmp_path)
    assert scene.model.config.model_type == "qwen2_vl"
    assert obstacle(scene.model) is None
    assert_same(scene.gradients("packed"), scene.gradients("plain"))


def test_packed_equals_plain_for_one_completion_per_prompt(make_scene, assert_same):
    scene = make_scene(owners=(0, 1), lengths=(7, 3))
    assert_same(scene.gradients("packed"), scene.gradients("plain"))


def test_packed_equals_plain_for_prompts_in_any_order(make_scene, assert_same):
    scene = make_scene(owners=(1, 0, 1, 0, 1))
    assert_same(scene.gradients("packed"), scene.gradients("plain"))


def test_packed_equals_plain_with_lora(make_scene, assert_same):
    scene = make_scene(adapt=with_lora)
    got, want = scene.gradients("packed"), scene.gradients("plain")
    assert_same(got, want)
    assert all("lora" in name for name in got[1])


@pytest.mark.parametrize("is_reentrant", [True, False])
@pytest.mark.parametrize("train_vision", [True, False])
def test_packed_equals_plain_with_checkpointing(
    make_scene, assert_same, train_vision, is_reentrant
):
    scene = make_scene(train_vision=train_vision)
    want = scene.gradients("plain")
    scene.model.gradient_checkpointing_enable({"use_reentrant": is_reentrant})
    # Reentrant checkpoints need an input with gradient; the trainer does this, too.
    scene.model.enable_input_require_grads()
    assert_same(scene.gradients("packed"), want)


def test_packed_equals_plain_with_lora_and_checkpointing(make_scene, assert_same):
    scene = make_scene(adapt=with_lora)
    want = scene.gradients("plain")
    scene.model.gradient_checkpointing_enable({"use_reentrant": True})
    scene.model.enable_input_require_grads()
    assert_same(scene.gradients("packed"), want)


def test_packed_is_as_close_to_float32_as_plain_under_autocast(make_scene):
    scene = make_scene()
    exact = scene.score("plain")
    with torch.autocast("cpu", torch.bfloat16):
        packed, plain = (
            (torch.stack(scene.score(forward)) - torch.stack(exact)).norm()
            for forward in ("packed", "plain")
        )
    assert 0 < packed < 1.5 * plain


def test_a_wrong_position_would_be_seen(make_scene):
    scene = make_scene()
    (want, _), got = scene.score("plain"), scene.score("packed")[0]
    later = scene.change_prompts(positions=lambda p: p.positions + torch.tensor([[0], [1], [0]]))
    flat = scene.change_prompts(
        positions=lambda p: torch.arange(len(p.token_ids)).expand(3, -1).clone()
    )
    assert (got - want).abs().max() < 1e-5
    assert (scene.score("packed", later)[0] - want).abs().max() > 1e-3
    assert (scene.score("packed", flat)[0] - want).abs().max() > 1e-3


def test_another_image_would_be_seen(make_scene):
    scene = make_scene()
    want = scene.score("plain")[0]
    shifted = scene.change_prompts(features=lambda p: p.features.roll(1, dims=0))
    assert (scene.score("packed", shifted)[0] - want).abs().max() > 1e-3


def test_the_backward_is_the_same_twice_to_the_byte(make_scene):
    scene = make_scene(train_vision=True)
    first, second = scene.gradients("packed")[1], scene.gradients("packed")[1]
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_an_image_of_several_prompts_is_encoded_once(make_scene, assert_same):
    scene = make_scene(train_vision=True)
    first = scene.branches[0].prompts.images[0]
    shared = [
        replace(p, pixel_values=first.pixel_values)
        for p in (first, scene.branches[1].prompts.images[1])  # also 64 x 64
    ]
    batch = stack_prompts(shared, scene.processor.tokenizer.pad_token_id)
    scene.branches = [Conditions(batch, scene.branches[0].owners)] * 2
    grids = []
    scene.model.model.visual.register_forward_pre_hook(
        lambda module, args, kwargs: grids.append(kwargs["grid_thw"].tolist()), with_kwargs=True
    )
    got = scene.gradients("packed")
    assert grids == [[first.grid.tolist()]]
    assert_same(got, scene.gradients("plain"))


def test_a_frozen_tower_is_not_run_again(make_scene):
    scene = make_scene()
    scene.model.model.visual.register_forward_pre_hook(lambda *args: pytest.fail("it ran"))
    scene.score("packed")


def test_equal_images_are_processed_once(make_scene, monkeypatch):
    scene = make_scene()
    processor, image = scene.processor, noise_image()
    known = {}
    first = encode_prompts(scene.model, processor, ["a", "b"], [image, image.copy()], "", known)
    assert first[0].pixel_values is first[1].pixel_values
    monkeypatch.setattr(encoding, "_process_images", lambda *args: pytest.fail("processed anew"))
    again = encode_prompts(scene.model, processor, ["c"], [image], "", known)
    assert again[0].features is first[0].features


def noise_image():
    return Image.effect_noise((48, 64), 90).convert("RGB")


def test_prompts_are_encoded_as_the_processor_does(make_scene):
    scene = make_scene()
    model, processor = scene.model, scene.processor
    image = noise_image()
    (prompt,) = encode_prompts(model, processor, ["What is it?"], [image], "Be brief.")
    message = [{"type": "image"}, {"type": "text", "text": "What is it?"}]
    system = [{"type": "text", "text": "Be brief."}]
    text = processor.apply_chat_template(
        [{"role": "system", "content": system}, {"role": "user", "content": message}],
        add_generation_prompt=True,
        tokenize=False,
    )
    batch = processor(text=[text], images=[[image]], return_tensors="pt")
    assert prompt.token_ids.tolist() == batch["input_ids"][0].tolist()
    assert torch.equal(prompt.pixel_values, batch["pixel_values"])
    assert prompt.grid.tolist() == batch["image_grid_thw"][0].tolist()
    assert (prompt.token_ids == model.config.image_token_id).equal(
        batch["mm_token_type_ids"][0].bool()
    )


def test_calls_without_a_plan_are_those_of_sdpa(make_scene):
    scene = make_scene()
    prompt = scene.branches[0].prompts.images[0]
    inputs = {
        "input_ids": prompt.token_ids[None],
        "attention_mask": torch.ones_like(prompt.token_ids)[None],
        "mm_token_type_ids": (prompt.token_ids == scene.model.config.image_token_id).int()[None],
        "pixel_values": prompt.pixel_values,
        "image_grid_thw": prompt.grid[None],
    }
    before = scene.model(**inputs).logits, scene.model.generate(**inputs, max_new_tokens=5)
    scene.score("packed")
    text = scene.model.config.get_text_config()
    assert text._attn_implementation == packed_attention.SHARED_PREFIX
    assert torch.equal(scene.model(**inputs).logits, before[0])
    assert torch.equal(scene.model.generate(**inputs, max_new_tokens=5), before[1])


def test_an_unsupported_setting_is_told_once_and_scored_plainly(make_scene, caplog):
    scene = make_scene()
    want = scene.score("plain")
    scene.model.set_attn_implementation({"text_config": "eager"})
    with caplog.at_level(logging.WARNING, "finer1.policy.forward"):
        got = scene.score("packed")
        scene.score("packed")
    (record,) = caplog.records
    assert record.getMessage() == (
        "runtime.forward: packed does not support attention implementation eager (only with "
        "sdpa); plain is used"
    )
    torch.testing.assert_close(got, want, rtol=0, atol=1e-5)


def ragged_attention(query, key, value, query_bounds, key_bounds, *_, scale, **kwargs):
    """What the CUDA kernel computes, one sequence after the other."""
    outputs = []
    for i in range(len(query_bounds) - 1):
        q = query[query_bounds[i] : query_bounds[i + 1]].transpose(0, 1)
        k, v = (rows[key_bounds[i] : key_bounds[i + 1]].transpose(0, 1) for rows in (key, value))
        context = k.shape[1] - q.shape[1]
        mask = torch.ones(q.shape[1], k.shape[1], dtype=torch.bool).tril(context)
        outputs.append(
            torch.nn.functional.scaled_dot_product_attention(
                q, k, v, attn_mask=mask, scale=scale, enable_gqa=kwargs["enable_gqa"]
            ).transpose(0, 1)
        )
    return torch.cat(outputs)


def test_the_ragged_layout_of_a_gpu_gives_the_same(make_scene, assert_same, monkeypatch):
    scene = make_scene(owners=(1, 0, 1, 0, 1))
    want = scene.gradients("packed")
    monkeypatch.setattr(packed_attention, "has_varlen", lambda *args: True)
    monkeypatch.setattr(packed_attention, "varlen_attn", ragged_attention)
    monkeypatch.setattr(packed_attention, "_padded_attention", lambda *_: pytest.fail("padded"))
    assert_same(scene.gradients("packed"), want)


def test_sequences_of_about_one_size_are_padded_to_it():
    # Classes end at powers of 1.2: 11 and 12 lie between 10.7 and 12.8, 20 does not.
    spans = [Span(0, 4), Span(4, 11, 0, 4), Span(15, 12, 0, 4), Span(27, 20, 0, 4)]
    plan = AttentionPlan(spans, (4, 43), torch.device("cpu")).padded
    sizes = [(bucket.count, bucket.context, bucket.length) for bucket in plan.buckets]
    assert sorted(sizes) == [(1, 0, 4), (1, 4, 20), (2, 4, 12)]
    assert plan.queries.index.numel() == 4 + 20 + 2 * 12
    assert plan.keys.index.numel() == 4 + 24 + 2 * 16


@pytest.mark.parametrize(
    ("section", "change", "reason"),
    [
        ("config", {"model_type": "qwen3_vl"}, "model type qwen3_vl"),
        ("text", {"layer_types": ["full_attention", "sliding_attention"]}, "sliding-window"),
        ("text", {"_attn_implementation": "flash_attention_2"}, "implementation flash_attention_2"),
    ],
)
def test_what_packed_does_not_support_is_named(make_scene, section, change, reason):
    model = make_scene().model
    assert obstacle(model) is None
    for name, value in change.items():
        setattr(model.config if section == "config" else model.config.text_config, name, value)
    assert reason in obstacle(model)
