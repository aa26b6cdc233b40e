import pytest
import torch
from PIL import Image

from finer1.policy.encoding import encode_prompts, stack_prompts
from finer1.policy.folder import load_policy
from finer1.policy.shared_prefix import completion_logprobs

QUESTIONS = ("What is it?", "What kind of bird is this?")
SIZES = ((64, 64), (40, 64))  # 16 and 8 image tokens
COMPLETIONS = ("<think>abc</think>", "<answer>a robin</answer>", "x")
OWNERS = (0, 1, 1)


@pytest.fixture(scope="module")
def policy(tiny_model):
    return load_policy(tiny_model, "cpu", train_vision=False)


def images():
    return [Image.effect_noise(size, 90).convert("RGB") for size in SIZES]


def padded(processor, width):
    tokens = [processor.tokenizer(text)["input_ids"] for text in COMPLETIONS]
    width = max(width, *map(len, tokens))
    ids = torch.zeros(len(tokens), width, dtype=torch.long)
    mask = torch.zeros(len(tokens), width, dtype=torch.bool)
    for row, item in enumerate(tokens):
        ids[row, : len(item)], mask[row, : len(item)] = torch.tensor(item), True
    return ids, mask


def shared(policy, pictures, width=0, temperature=1.0):
    model, processor = policy
    encoded = encode_prompts(model, processor, QUESTIONS, pictures, "")
    batch = stack_prompts(encoded, processor.tokenizer.pad_token_id)
    ids, mask = padded(processor, width)
    return completion_logprobs(model, batch, torch.tensor(OWNERS), ids, mask, temperature), mask


def plain(policy, pictures, row):
    """Log-probabilities by transformers' own forward of prompt and completion, unpadded."""
    model, processor = policy
    message = [{"type": "image"}, {"type": "text", "text": QUESTIONS[OWNERS[row]]}]
    prompt = processor.apply_chat_template(
        [{"role": "user", "content": message}], add_generation_prompt=True, tokenize=False
    )
    batch = processor(
        text=[prompt + COMPLETIONS[row]], images=[[pictures[OWNERS[row]]]], return_tensors="pt"
    )
    length = len(processor.tokenizer(COMPLETIONS[row])["input_ids"])
    logprobs = model(**batch).logits[0, -length - 1 : -1].log_softmax(-1)
    return logprobs.gather(-1, batch["input_ids"][0, -length:, None]).squeeze(-1)


def test_logprobs_equal_those_of_the_whole_sequence(policy):
    pictures = images()
    logprobs, mask = shared(policy, pictures)
    for row in range(len(COMPLETIONS)):
        # Float32 rounding: attention sums over a padded row in another order.
        torch.testing.assert_close(
            logprobs[row, mask[row]], plain(policy, pictures, row), rtol=1e-4, atol=1e-5
        )


def test_gradients_equal_those_of_the_whole_sequence(policy):
    model, pictures = policy[0], images()
    weight = model.model.language_model.layers[0].self_attn.k_proj.weight
    logprobs, _ = shared(policy, pictures)
    (got,) = torch.autograd.grad(logprobs.sum(), weight)
    (want,) = torch.autograd.grad(
        sum(plain(policy, pictures, row).sum() for row in range(3)), weight
    )
    torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-5)


def test_padding_does_not_change_logprobs(policy):
    pictures = images()
    logprobs, mask = shared(policy, pictures)
    wide, wide_mask = shared(policy, pictures, width=60)
    torch.testing.assert_close(wide[wide_mask], logprobs[mask], rtol=1e-4, atol=1e-5)
    assert wide[~wide_mask].eq(0).all()


def test_temperature_divides_the_logits(policy):
    pictures = images()
    flat, mask = shared(policy, pictures, temperature=1e6)
    # Almost equal logits: every token has probability 1 / V.
    vocabulary = policy[0].config.text_config.vocab_size
    torch.testing.assert_close(
        flat[mask], torch.full_like(flat[mask], 1 / vocabulary).log(), rtol=0, atol=1e-4
    )
