from types import SimpleNamespace

import pytest
from transformers import AutoConfig, AutoTokenizer

from finer1.chat import chat_messages, stop_ids, suppressed_ids


def test_all_vision_tokens_are_suppressed(tiny_model):
    tokenizer = AutoTokenizer.from_pretrained(tiny_model, local_files_only=True)
    config = AutoConfig.from_pretrained(tiny_model, local_files_only=True)
    names = ("image_pad", "video_pad", "vision_start", "vision_end", "vision_pad")
    expected = {tokenizer.convert_tokens_to_ids(f"<|{name}|>") for name in names}
    assert set(suppressed_ids(config, tokenizer)) == expected


def test_a_model_may_lack_vision_tokens():
    tokenizer = SimpleNamespace(get_vocab=dict, special_tokens_map={})
    assert suppressed_ids(SimpleNamespace(image_token_id=7, video_token_id=None), tokenizer) == (7,)


@pytest.mark.parametrize(("ids", "expected"), [(5, (5,)), ([5, 6], (5, 6)), (None, ())])
def test_a_completion_may_end_in_one_several_or_no_tokens(ids, expected):
    assert stop_ids(SimpleNamespace(eos_token_id=ids)) == expected


def test_images_come_before_the_text_and_an_empty_system_turn_is_left_out():
    (user,) = chat_messages("What is it?", 2, "")
    assert [part["type"] for part in user["content"]] == ["image", "image", "text"]
    assert [message["role"] for message in chat_messages("?", 1, "Think.")] == ["system", "user"]
