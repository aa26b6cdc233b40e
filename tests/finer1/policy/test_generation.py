import pytest
import torch
from PIL import Image

from finer1.chat import stop_ids
from finer1.policy.encoding import encode_prompts, stack_prompts
from finer1.policy.folder import load_policy
from finer1.policy.generation import SamplingRule, draw_tokens, sample_completions

RULE = SamplingRule(temperature=1.0, top_p=1.0, max_tokens=8, stop_ids=(3,), suppressed_ids=())


@pytest.fixture(scope="module")
def policy(tiny_model):
    model, processor = load_policy(tiny_model, "cpu", train_vision=False)
    with torch.no_grad():  # as it is, every prompt is answered by one token over and over
        for parameter in model.model.language_model.layers.parameters():
            parameter.mul_(8)
    return model.eval(), processor


def prompts(policy):
    images = [Image.new("RGB", size, "teal") for size in ((64, 64), (40, 64))]
    return encode_prompts(*policy, ["What is it?", "And what bird is this?"], images, "")


def sample(policy, rule, owners=(0, 0, 1), seed=0):
    batch = stack_prompts(prompts(policy), policy[1].tokenizer.pad_token_id)
    drawn = sample_completions(policy[0], batch, owners, rule, uniforms(len(owners), rule, seed))
    return [completion.token_ids for completion in drawn]


def uniforms(num_rows, rule, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(num_rows, rule.max_tokens, generator=generator)


def changed(**values):
    return SamplingRule(**{**RULE.__dict__, **values})


def draw(probabilities, count=2000, **values):
    logits = torch.tensor(probabilities).log().repeat(count, 1)
    chances = torch.rand(count, generator=torch.Generator().manual_seed(0))
    tokens = draw_tokens(logits, changed(**values), chances)
    return torch.bincount(tokens, minlength=len(probabilities)) / count


def test_tokens_are_drawn_by_their_probability():
    # Standard error sqrt(0.25 / 2000) = 0.011; four of them.
    torch.testing.assert_close(
        draw([0.5, 0.3, 0.2]), torch.tensor([0.5, 0.3, 0.2]), rtol=0, atol=0.045
    )


def test_the_nucleus_ends_with_the_token_that_reaches_top_p():
    shares = draw([0.5, 0.3, 0.2], top_p=0.6)
    torch.testing.assert_close(shares, torch.tensor([0.625, 0.375, 0.0]), rtol=0, atol=0.045)


def test_suppressed_tokens_are_never_drawn():
    assert draw([0.5, 0.3, 0.2], suppressed_ids=(0,))[0] == 0


def test_zero_temperature_takes_the_most_likely_token():
    assert draw([0.2, 0.5, 0.3], temperature=0)[1] == 1


@pytest.mark.parametrize(
    ("chance", "expected"), [(0.0, 2), (0.49, 2), (0.51, 0), (0.79, 0), (0.81, 3), (1 - 2**-24, 3)]
)
def test_a_draw_inverts_the_distribution(chance, expected):
    # Most likely first: token 2 up to 0.5, token 0 up to 0.8, token 3 up to 1; token 1 never.
    logits = torch.tensor([[0.3, 0.0, 0.5, 0.2]]).log()
    assert draw_tokens(logits, RULE, torch.tensor([chance])).item() == expected


def test_a_completion_does_not_depend_on_the_ones_beside_it(policy):
    rule = changed(max_tokens=12, stop_ids=tuple(range(0, 280, 20)))
    chances = uniforms(4, rule)
    batch = stack_prompts(prompts(policy), policy[1].tokenizer.pad_token_id)
    together = sample_completions(policy[0], batch, (0, 0, 1, 1), rule, chances)
    for row, owner in enumerate((0, 0, 1, 1)):
        (alone,) = sample_completions(policy[0], batch, (owner,), rule, chances[row : row + 1])
        assert alone.token_ids == together[row].token_ids


def test_same_random_numbers_give_the_same_completions(policy):
    assert sample(policy, RULE) == sample(policy, RULE)
    assert sample(policy, RULE) != sample(policy, RULE, seed=1)


def test_greedy_completions_equal_those_of_transformers(policy):
    model = policy[0]
    rule = changed(temperature=0, stop_ids=stop_ids(model.generation_config))
    got = sample(policy, rule, owners=(0, 1))
    for prompt, tokens in zip(prompts(policy), got, strict=True):
        output = model.generate(
            input_ids=prompt.token_ids[None],
            attention_mask=torch.ones_like(prompt.token_ids)[None],
            mm_token_type_ids=(prompt.token_ids == model.config.image_token_id).int()[None],
            pixel_values=prompt.pixel_values,
            image_grid_thw=prompt.grid[None],
            do_sample=False,
            max_new_tokens=8,
        )
        assert tokens == output[0, len(prompt.token_ids) :].tolist()


def test_a_completion_ends_with_its_stop_token(policy):
    likely = set(range(0, 280, 2))  # half of the vocabulary stops, so some rows end early
    rule = changed(max_tokens=20, stop_ids=tuple(likely))
    completions = sample(policy, rule, owners=(0,) * 20 + (1,) * 20)
    assert {len(tokens) for tokens in completions} > {1, 2, 3}
    for tokens in completions:
        assert not set(tokens[:-1]) & likely
        assert tokens[-1] in likely or len(tokens) == 20


def test_rows_that_go_on_alone_stay_with_their_prompt(policy):
    # With temperature 0 a row's tokens do not depend on which other rows have ended.
    free = changed(temperature=0, max_tokens=12, stop_ids=())
    alone = [sample(policy, free, owners=(owner,))[0] for owner in (0, 1)]
    stop = next(token for token in alone[0] if token not in alone[1])
    ended = changed(temperature=0, max_tokens=12, stop_ids=(stop,))
    first, second = sample(policy, ended, owners=(0, 1))
    assert first == alone[0][: alone[0].index(stop) + 1]
    assert second == alone[1]
