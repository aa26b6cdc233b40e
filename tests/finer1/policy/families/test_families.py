"""Each family that can be trained, tiny and random: ours beside transformers' own calls."""

import json

import pytest
import torch
from PIL import Image

from finer1.chat import chat_messages, stop_ids, suppressed_ids
from finer1.policy.encoding import Conditions, encode_prompts, image_features, stack_prompts
from finer1.policy.families.interface import (
    check_trainable,
    family_of,
    load_family,
    patch_size,
    vision_parts,
)
from finer1.policy.folder import load_policy
from finer1.policy.forward import score_completions
from finer1.policy.generation import SamplingRule, sample_completions
from tests.finer1.engines.families import build_model

ARCHITECTURES = {
    "qwen2_vl": "Qwen2VLForConditionalGeneration",
    "qwen2_5_vl": "Qwen2_5_VLForConditionalGeneration",
    "qwen3_vl": "Qwen3VLForConditionalGeneration",
    "llava_onevision": "LlavaOnevisionForConditionalGeneration",
    "internvl": "InternVLForConditionalGeneration",
}
QUESTIONS = ("What is it?", "What kind of bird is this, seen in flight?", "What is it?")
SIZES = ((64, 64), (40, 64), (64, 32))


@pytest.fixture(scope="module", params=ARCHITECTURES)
def policy(request, tmp_path_factory):
    """Model and processor of a family, as training loads them."""
    folder = tmp_path_factory.mktemp(request.param)
    build_model(ARCHITECTURES[request.param], folder)
    model, processor = load_policy(folder, "cpu", train_vision=False)
    assert model.config.model_type == request.param
    return model.eval(), processor


@pytest.fixture(scope="module")
def pictures():
    return [
        Image.effect_noise(size, 90).convert("RGB").rotate(90 * place, expand=False)
        for place, size in enumerate(SIZES)
    ]


def by_processor(policy, question, picture):
    """The processor's own inputs of one prompt."""
    model, processor = policy
    text = processor.apply_chat_template(
        chat_messages(question, 1, "Be brief."), add_generation_prompt=True, tokenize=False
    )
    batch = processor(text=[text], images=[picture], return_tensors="pt")
    is_image = (batch["input_ids"] == model.config.image_token_id).int()
    return {**batch, **({"mm_token_type_ids": is_image} if family_of(model).has_axes else {})}


def encoded(policy, pictures):
    return encode_prompts(*policy, QUESTIONS, pictures, "Be brief.")


def test_prompts_have_the_tokens_that_the_processor_gives(policy, pictures):
    prompts = encoded(policy, pictures)
    lengths = {int((p.token_ids == policy[0].config.image_token_id).sum()) for p in prompts}
    assert len(lengths) > 1  # images of unequal sizes have unequally many
    for prompt, question, picture in zip(prompts, QUESTIONS, pictures, strict=True):
        expected = by_processor(policy, question, picture)
        assert prompt.token_ids.tolist() == expected["input_ids"][0].tolist()


def test_scores_are_those_of_the_models_own_call(policy, pictures):
    model, processor = policy
    prompts = encoded(policy, pictures)
    ids = torch.randint(0, 250, (3, 6), generator=torch.Generator().manual_seed(0))
    mask = torch.arange(6) < torch.tensor([6, 2, 4]).unsqueeze(-1)
    batch = stack_prompts(prompts, processor.tokenizer.pad_token_id)
    conditions = Conditions(batch, torch.arange(3))
    with torch.no_grad():
        (scored,) = score_completions(model, [conditions], ids, mask, 1.0, "plain")
        for row, (question, picture) in enumerate(zip(QUESTIONS, pictures, strict=True)):
            own = _own_logprobs(policy, question, picture, ids[row][mask[row]])
            torch.testing.assert_close(scored[row][mask[row]], own, rtol=0, atol=1e-4)
        wrong = _own_logprobs(policy, QUESTIONS[0], pictures[2], ids[0])
    assert (scored[0] - wrong).abs().max() > 1e-2  # another image would be seen


def _own_logprobs(policy, question, picture, completion):
    inputs = by_processor(policy, question, picture)
    for key in ("input_ids", "attention_mask", "mm_token_type_ids"):
        if key in inputs:
            more = {"attention_mask": torch.ones_like(completion)}.get(key, completion)
            more = torch.zeros_like(completion) if key == "mm_token_type_ids" else more
            inputs[key] = torch.cat([inputs[key], more[None]], dim=1)
    logits = policy[0](**inputs).logits[0, -len(completion) - 1 : -1].float()
    return logits.log_softmax(-1).gather(-1, completion.unsqueeze(-1)).squeeze(-1)


def test_greedy_samples_are_those_of_the_models_own_generate(policy, pictures):
    model, processor = policy
    rule = SamplingRule(
        temperature=0,
        top_p=1,
        max_tokens=8,
        stop_ids=stop_ids(model.generation_config),
        suppressed_ids=suppressed_ids(model.config, processor.tokenizer),
    )
    batch = stack_prompts(encoded(policy, pictures), processor.tokenizer.pad_token_id)
    samples = sample_completions(model, batch, [0, 1, 2, 1], rule, None)
    assert samples[3].token_ids == samples[1].token_ids
    assert len({tuple(sample.token_ids) for sample in samples}) > 1
    for row, (question, picture) in enumerate(zip(QUESTIONS, pictures, strict=True)):
        inputs = by_processor(policy, question, picture)
        tokens = model.generate(
            **inputs,
            max_new_tokens=8,
            do_sample=False,
            suppress_tokens=list(rule.suppressed_ids),
        )
        assert samples[row].token_ids == tokens[0, inputs["input_ids"].shape[1] :].tolist()


def test_the_vision_tower_alone_is_frozen(policy):
    model = policy[0]
    seeing = {id(parameter) for parameter in vision_parts(model)}
    assert seeing
    for name, parameter in model.named_parameters():
        is_language = ".language_model." in f".{name}" or name.startswith("lm_head")
        assert parameter.requires_grad is is_language
        assert (id(parameter) in seeing) is not is_language


@torch.no_grad()
def test_the_projector_gives_the_image_tokens(policy, pictures):
    # Its last linear layer negated, the guard's test of an engine, negates them.
    model, processor = policy
    family = family_of(model)
    assert family.projector.split(".")[0] in family.vision
    layers = [
        module
        for module in model.model.get_submodule(family.projector).modules()
        if isinstance(module, torch.nn.Linear)
    ]
    pixels, shapes = zip(*family.process(processor, pictures), strict=True)
    before = image_features(model, pixels, torch.stack(shapes))
    try:
        _negate(layers[-1])
        after = image_features(model, pixels, torch.stack(shapes))
    finally:
        _negate(layers[-1])  # the fixture is shared
    newline = getattr(model.model, "image_newline", None)  # a parameter among LLaVA's tokens
    for old, new in zip(before, after, strict=True):
        is_seen = torch.ones(len(old), dtype=torch.bool)
        if newline is not None:
            is_seen = (old != newline).any(dim=-1)
        assert is_seen.sum() > len(old) / 2
        torch.testing.assert_close(new[is_seen], -old[is_seen])


@torch.no_grad()
def _negate(layer):
    for parameter in layer.parameters():
        parameter.neg_()


def test_the_patch_is_that_of_the_tower(policy):
    assert patch_size(policy[0]) == (16 if policy[0].config.model_type == "qwen3_vl" else 8)


@pytest.mark.parametrize("name", ["phi3_v", "interface", "../x"])
def test_a_family_without_a_file_is_refused(name):
    with pytest.raises(
        ValueError, match=r"there is no finer1/policy/families/.*internvl.*docs/fam"
    ):
        load_family(name)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (
            {"model_type": "openpangu_vl", "auto_map": {"AutoModel": "modeling.Pangu"}},
            r"openpangu_vl\) need code that comes with them.*FINER1_EVAL_SERVER",
        ),
        ({"model_type": "idefics3"}, r"models of the type idefics3 cannot be trained"),
        (None, "has no config.json"),
    ],
)
def test_a_folder_that_cannot_be_trained_is_refused_before_it_is_read(tmp_path, config, words):
    if config is not None:
        (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=words):
        load_policy(tmp_path, "cpu", train_vision=False)


def test_a_known_type_may_come_with_code_that_is_not_needed(tmp_path):
    config = {"model_type": "qwen2_5_vl", "auto_map": {"AutoModel": "modeling.Qwen"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    check_trainable(tmp_path)
