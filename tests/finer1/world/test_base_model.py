from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from finer1 import prompts
from finer1.files import sha256_file
from finer1.world import language
from finer1.world.architecture import SPECIAL_TOKENS, TAGS
from finer1.world.batches import positions, prompt_text
from finer1.world.drawing import draw
from finer1.world.taxonomies import load_taxonomy
from finer1.world.vision import encode, to_patches
from finer1.world.vocabulary import vocabulary

WORLD = load_taxonomy("embedded")
FOLDER = Path(__file__).parents[3] / "models" / "base" / "world"
QUESTION = prompts.question("bird", 3)


@pytest.fixture(scope="module")
def model():
    return AutoModelForImageTextToText.from_pretrained(
        FOLDER, dtype=torch.float32, local_files_only=True
    )


@pytest.fixture(scope="module")
def processor():
    return AutoProcessor.from_pretrained(FOLDER, local_files_only=True)


@pytest.fixture(scope="module")
def image():
    return draw("bird", WORLD.by_category["bird"][0].values, 5, 0.5)


def question_batch(processor, image, text=QUESTION):
    turn = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": text}]}
    prompt = processor.apply_chat_template([turn], add_generation_prompt=True, tokenize=False)
    return processor(text=[prompt], images=[image], return_tensors="pt")


def test_the_folder_is_small():
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) <= 6_000_000


def test_the_card_names_the_weights_that_are_there():
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert sha256_file(FOLDER / "model.safetensors") in card


def test_an_open_question_is_answered_without_a_rationale(model, processor, image):
    batch = question_batch(processor, image)
    tokens = model.generate(**batch, max_new_tokens=20, do_sample=False)
    text = processor.decode(tokens[0, batch["input_ids"].shape[1] :], skip_special_tokens=True)
    completion = prompts.parse_completion(text)
    assert completion.answer
    assert not completion.is_tagged


def test_attributes_told_in_text_lead_to_the_name(model, processor):
    item = WORLD.species[0]
    user = language.reasoning_instruction(item.category, item.values)
    batch = processor(text=[prompt_text(user, has_image=False)], return_tensors="pt")
    tokens = model.generate(**batch, max_new_tokens=110, do_sample=False)
    text = processor.decode(tokens[0, batch["input_ids"].shape[1] :], skip_special_tokens=True)
    assert prompts.parse_completion(text).is_sectioned
    assert prompts.parse_completion(text).answer == item.name


def test_tags_and_words_are_single_tokens(processor):
    tokenizer = processor.tokenizer
    for piece in (*TAGS, *SPECIAL_TOKENS, *vocabulary(WORLD)):
        assert len(tokenizer(piece, add_special_tokens=False).input_ids) == 1, piece


def test_tags_are_kept_and_turns_dropped_when_decoding(processor):
    ids = processor.tokenizer("<think>red wren</think><|im_end|>").input_ids
    assert processor.decode(ids, skip_special_tokens=True) == "<think>red wren</think>"


def test_any_text_survives_the_tokenizer(processor):
    text = "Zo\u00eb's 3 \u9e1f \U0001f426 -- <x>\n\tend"
    ids = processor.tokenizer(text, add_special_tokens=False).input_ids
    assert processor.decode(ids) == text


def test_the_template_adds_no_system_prompt_of_its_own(processor):
    turn = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Hi"}]}
    system = {"role": "system", "content": "Think."}
    plain = processor.apply_chat_template([turn], add_generation_prompt=True, tokenize=False)
    guided = processor.apply_chat_template([system, turn], tokenize=False)
    frame = "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>Hi<|im_end|>\n"
    assert plain == f"{frame}<|im_start|>assistant\n"
    assert guided == f"<|im_start|>system\nThink.<|im_end|>\n{frame}"


def test_pre_training_saw_the_processors_prompts(processor, image):
    ids = question_batch(processor, image)["input_ids"][0].tolist()
    written = processor.tokenizer(prompt_text(QUESTION, has_image=True)).input_ids
    assert ids == written


def test_pre_training_saw_the_processors_pixels(processor, image):
    pixels = processor.image_processor(images=[image], return_tensors="pt")["pixel_values"]
    # float32 rounding of (x / 255 - 0.5) / 0.5 against x / 127.5 - 1
    assert torch.allclose(to_patches(np.asarray(image)[None])[0], pixels, atol=1e-6)


def test_the_batched_tower_equals_the_models_own(model, processor, image):
    batch = processor.image_processor(images=[image], return_tensors="pt")
    with torch.no_grad():
        own = model.model.visual(batch["pixel_values"], batch["image_grid_thw"]).pooler_output
        batched = encode(model.model.visual, to_patches(np.asarray(image)[None]))
    assert torch.allclose(batched[0], own, atol=1e-5)


def test_pre_training_used_the_models_own_positions(model, processor, image):
    batch = question_batch(processor, image)
    own, _ = model.model.get_rope_index(
        batch["input_ids"], batch["mm_token_type_ids"], batch["image_grid_thw"]
    )
    first = batch["input_ids"][0].tolist().index(model.config.image_token_id)
    assert torch.equal(own[:, 0], positions(batch["input_ids"].shape[1], first))
