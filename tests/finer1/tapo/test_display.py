"""What is shown of a step, and that showing it changes nothing."""

from dataclasses import replace

import pytest
import torch

from finer1.policy.folder import load_policy
from finer1.progress import Progress
from finer1.tapo.display import Display, Outlets, is_due, step_words, token_kl
from finer1.tapo.samplers.local import LocalEngine
from finer1.tapo.sampling import Kept
from finer1.tapo.stream import PromptStream
from finer1.tapo.training import build_sampler

METRICS = {
    "reward/mean": 0.712,
    "reward/accuracy": 0.68,
    "reward/format": 1.0,
    "rollout/keep_rate": 0.5,
    "speed/tokens_per_s": 1530.4,
}


@pytest.fixture(scope="module")
def policy(talking_model):
    return load_policy(talking_model, "cpu", train_vision=False)


@pytest.fixture
def sampler(policy, triplets, picture, params):
    model, processor = policy
    changes = {"anchor_rollouts": 2, "positive_rollouts": 2, "max_completion_tokens": 30}
    settings = params.tapo.model_copy(update={**changes, "steps": 40})
    stream = PromptStream(triplets, picture, {"bird": ("a", "b")}, settings, 8, seed=0)
    engine = LocalEngine(model, processor.tokenizer.pad_token_id, 8)
    return build_sampler(model, processor, stream, "", 8, engine)


@pytest.fixture
def shown():
    """What the outlets got, by name."""
    return {"log": [], "table": [], "image": []}


@pytest.fixture
def display(sampler, params, shown):
    return Display(
        sampler,
        params.runtime.model_copy(update={"sheet_steps": 20}),
        Progress("tapo", 40, "steps", done=19, is_live=True),
        Outlets(
            log=lambda metrics, step: shown["log"].append(step),
            log_table=lambda name, rows: shown["table"].append(name),
            log_image=lambda name, image, step: shown["image"].append((name, step, image.mode)),
            is_live=True,
        ),
    )


@pytest.fixture
def kept(sampler):
    groups = sampler.sample([0, 1])
    return Kept(groups[:1], groups, 1, 0, False)


def test_a_step_is_logged_and_gets_a_line(display, kept, shown, capsys):
    display.show(kept, METRICS, 10)
    assert shown == {"log": [10], "table": [], "image": []}
    line = capsys.readouterr().err
    assert line.startswith("tapo: 20/40 steps, ")
    assert line.endswith(
        " left, reward 0.71, accuracy 0.68, format 1.00, keep rate 0.50, 1530 tokens/s\n"
    )


def test_a_due_step_gets_a_table_and_a_sheet(display, kept, shown):
    display.show(kept, METRICS, 20)
    assert shown["table"] == ["rollouts/step-00020"]
    assert shown["image"] == [("sheet", 20, "RGB")]


def test_a_step_in_which_no_group_survived_shows_one_that_was_dropped(display, kept, shown):
    display.show(replace(kept, groups=[]), METRICS, 20)
    assert len(shown["image"]) == 1


def test_showing_changes_neither_weights_nor_random_numbers(display, kept, policy):
    model = policy[0]
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    display.show(kept, METRICS, 20)
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    ("step", "every", "expected"),
    [(1, 10, True), (2, 10, False), (10, 10, True), (40, 30, True), (1, 0, False), (40, 0, False)],
)
def test_the_first_each_nth_and_the_last_step_are_due(step, every, expected):
    assert is_due(step, every, last=40) is expected


def test_the_words_of_a_step():
    assert step_words(METRICS) == (
        "reward 0.71, accuracy 0.68, format 1.00, keep rate 0.50, 1530 tokens/s"
    )


def test_each_token_has_its_kl(sampler, kept):
    (group,) = kept.groups
    lines = token_kl(sampler, group, "packed")
    assert [len(line) for line in lines] == [len(tokens) for tokens in group.completions]
    decode = sampler.processor.tokenizer.decode
    assert ["".join(text for text, _ in line) for line in lines] == [
        decode(tokens) for tokens in group.completions
    ]
    values = [kl for line in lines for _, kl in line]
    assert min(values) > -1e-6  # e^d - d - 1 is never below 0, save for rounding
    assert max(values) > 1e-4  # anchor and negative are of different colours


def test_the_same_image_as_negative_gives_no_kl(sampler, picture):
    stream = replace(sampler.stream, read_image=lambda name: picture("a0"))
    blind = replace(sampler, stream=stream)
    (group,) = blind.sample([0])
    values = [kl for line in token_kl(blind, group, "packed") for _, kl in line]
    assert max(map(abs, values)) < 1e-6  # rounding: two places of one packed row


def test_a_loss_without_contrast_has_a_sheet_with_it(sampler, kept):
    off = {"inter_class_coef": 0.0, "entropy_coef": 0.0, "negative_entropy_coef": 0.0}
    dapo = replace(sampler, settings=sampler.settings.model_copy(update=off))
    assert token_kl(dapo, kept.groups[0], "packed") == token_kl(sampler, kept.groups[0], "packed")
