"""The released code's rewards, losses and gradients, replayed."""

import pytest
import torch

from finer1.params import load_params
from finer1.tapo.advantages import group_advantages
from finer1.tapo.losses import tapo_loss
from finer1.tapo.rewards import score_completion
from finer1.tapo.sampling import is_informative

NUM_CASES = 12


def settings_of(config, repository):
    return load_params(repository / "params.yaml").tapo.model_copy(
        update={
            "clip_low": config["clip_low"],
            "clip_high": config["clip_high"],
            "clip_dual": config["clip_dual"],
            "inter_class_coef": config["gamma"],
            "entropy_coef": config["eta1"],
            "negative_entropy_coef": config["eta2"],
        }
    )


@pytest.mark.parametrize("number", range(NUM_CASES))
def test_losses_and_gradients_equal_the_released_ones(golden, repository, number):
    case = golden("tapo_loss.json")[number]
    expected, settings = case["expected"], settings_of(case["config"], repository)
    rewards = torch.tensor(case["rewards"]).view(-1, case["group_size"])
    advantages = group_advantages(rewards, settings.advantage_eps).flatten()
    logprobs = torch.tensor(case["logp"], requires_grad=True)
    negative = torch.tensor(case["neg_logp"], requires_grad=True)
    mask = torch.tensor(case["mask"]).bool()
    loss, metrics = tapo_loss(
        logprobs,
        torch.tensor(case["old_logp"]),
        negative,
        advantages,
        mask,
        mask.sum(),
        settings,
    )
    loss.backward()
    clipped = metrics["loss/clip_low_fraction"] + metrics["loss/clip_high_fraction"]
    got = {
        "advantages": advantages,
        "policy_loss": metrics["loss/policy"],
        "contrastive_kl": metrics["loss/inter_class_kl"],
        "entropy": metrics["loss/entropy"],
        "negative_entropy": metrics["loss/negative_entropy"],
        "total_loss": loss.detach(),
        "grad_logp": logprobs.grad,
        "grad_neg_logp": negative.grad,
        "clip_fraction_high": clipped,
        "clip_fraction_low": metrics["loss/clip_dual_fraction"],
    }
    for name, value in got.items():
        # The released values are float32 prints; sums run in another order here.
        torch.testing.assert_close(
            value, torch.tensor(expected[name]), rtol=2e-5, atol=2e-7, msg=name
        )


@pytest.mark.parametrize("number", range(NUM_CASES))
def test_kept_groups_equal_the_released_ones(golden, repository, number):
    case = golden("tapo_loss.json")[number]
    settings, size = settings_of(case["config"], repository), case["group_size"]
    groups = [case["accuracy"][i : i + size] for i in range(0, len(case["accuracy"]), size)]
    assert [is_informative(group, settings) for group in groups] == case["expected"]["kept_groups"]


def test_rewards_equal_the_released_ones(golden, repository):
    released = load_params(repository / "params.yaml").tapo.model_copy(
        update={"answer_match": "inclusion", "format_rule": "tags"}
    )
    for case in golden("rewards.json"):
        reward = score_completion(case["response"], case["ground_truth"], (), released)
        got = {"accuracy": reward.accuracy, "format": reward.format}
        assert got == {name: case[name] for name in got}, case["response"]
        assert reward.total == pytest.approx(case["overall"]), case["response"]
