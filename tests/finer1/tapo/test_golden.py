"""The released code's rewards, losses and gradients, replayed; and cases worked by hand.

`--golden DIR` replays every tapo_loss*.json and rewards*.json of a folder: each a list of cases,
keys that are not known here left aside.
"""

import json
from pathlib import Path

import pytest
import torch

from finer1.params import load_params
from finer1.tapo.advantages import group_advantages
from finer1.tapo.losses import clipped_surrogate, inter_class_kl, tapo_loss
from finer1.tapo.rewards import score_completion
from finer1.tapo.sampling import is_informative

SYMBOLS = {"gamma": "inter_class_coef", "eta1": "entropy_coef", "eta2": "negative_entropy_coef"}
RELEASED = {
    "clip_dual": 3.0,
    "kl_ratio": "neg_over_pos",
    "log_ratio_clamp": 20.0,
    "kl_clamp": 10.0,
    "negative_gradient": True,  # unlike the released trainer, as the folder's README says
    "advantage_eps": 1e-6,
    "accuracy_weight": 0.9,
    "answer_match": "inclusion",
    "format_rule": "tags",
    "keep_low": 0.01,
    "keep_high": 0.99,
}
RELATIVE, ABSOLUTE = 1e-5, 1e-7
"""Tolerances in float32: of the largest magnitude among the values and their summands; and of
the seven digits after the point that the files have."""

# Rewards 1.0 and 0.1: mean 0.55, deviations +-0.45, std 0.6363961, A = +-0.7071057.
# Ratios 1; e^0.5 = 1.6487213, bounded by 1.28; e = 2.7182818 with A < 0, free. Three tokens:
#   policy (-0.7071057 - 0.9050953 + 1.9221125) / 3
#   d = neg - log pi = -1, 0, 1: e^d - d - 1 = 0.3678794, 0, 0.7182818; sum / 3
#   total = policy - 0.5 kl + 0.1 entropy + 0.2 negative_entropy
#   d total / d log pi = [-A r (0 where bounded) - 0.5 (1 - e^d) - 0.1] / 3
#   d total / d neg = [-0.5 (e^d - 1) - 0.2] / 3
BY_HAND = [
    {
        "config": {"clip_low": 0.2, "clip_high": 0.28, "gamma": 0.5, "eta1": 0.1, "eta2": 0.2},
        "group_size": 2,
        "rewards": [1.0, 0.1],
        "accuracy": [1.0, 0.0],
        "mask": [[1, 1], [1, 0]],
        "logp": [[-1.0, -0.5], [-2.0, 0.0]],
        "old_logp": [[-1.0, -1.0], [-3.0, 0.0]],
        "neg_logp": [[-2.0, -0.5], [-1.0, 0.0]],
        "expected": {
            "advantages": [0.7071057, -0.7071057],
            "policy_loss": 0.1033038,
            "contrastive_kl": 0.3620537,
            "entropy": 3.5 / 3,
            "negative_entropy": 3.5 / 3,
            "total_loss": 0.2722769,
            "grad_logp": [[-0.3743886, -0.0333333], [0.8937512, 0.0]],
            "grad_neg_logp": [[0.0386867, -0.0666667], [-0.3530470, 0.0]],
            "clip_fraction_high": 1 / 3,
            "clip_fraction_low": 0.0,
            "kept_groups": [True],
        },
    },
    # Both wrong, so the group is dropped; its loss counts here all the same. Rewards 0 and 0.1:
    # std 0.0707107, A = -+0.7070968. Ratio e^2 with A < 0: dual clip, 3 x 0.7070968, no gradient;
    # ratio e^-4 = 0.0183156 with A > 0: free, -0.0129509. The mean of the two.
    {
        "config": {"clip_low": 0.2, "clip_high": 0.28, "gamma": 0.0, "eta1": 0.0, "eta2": 0.0},
        "group_size": 2,
        "rewards": [0.0, 0.1],
        "accuracy": [0.0, 0.0],
        "mask": [[1], [1]],
        "logp": [[-1.0], [-5.0]],
        "old_logp": [[-3.0], [-1.0]],
        "neg_logp": [[-1.0], [-5.0]],
        "expected": {
            "advantages": [-0.7070968, 0.7070968],
            "policy_loss": 1.0541697,
            "contrastive_kl": 0.0,
            "entropy": 3.0,
            "negative_entropy": 3.0,
            "total_loss": 1.0541697,
            "grad_logp": [[0.0], [-0.0064755]],
            "grad_neg_logp": [[0.0], [0.0]],
            "clip_fraction_high": 0.0,
            "clip_fraction_low": 0.5,
            "kept_groups": [False],
        },
    },
]


def pytest_generate_tests(metafunc):
    """A test per case of the folder; one skipped test when there is none."""
    for name in ("tapo_loss", "rewards"):
        if f"{name}_case" not in metafunc.fixturenames:
            continue
        folder = Path(metafunc.config.getoption("--golden"))
        cases = [
            pytest.param(case, id=f"{path.stem}-{number}")
            for path in sorted(folder.glob(f"{name}*.json"))
            for number, case in enumerate(json.loads(path.read_text(encoding="utf-8")))
        ]
        reason = f"no {name}*.json in {folder}; give the folder of golden values with --golden"
        none = [pytest.param(None, marks=pytest.mark.skip(reason=reason))]
        metafunc.parametrize(f"{name}_case", cases or none)


@pytest.fixture(scope="module")
def released(repository):
    """The settings of the released code."""
    return load_params(repository / "params.yaml").tapo.model_copy(update=RELEASED)


def settings_of(config, released):
    named = {SYMBOLS.get(key, key): value for key, value in config.items()}
    known = {key: value for key, value in named.items() if key in type(released).model_fields}
    return released.model_copy(update=known)


def replay(case, settings):
    """What our code makes of a case, and the largest magnitude among the summands of each."""
    rewards = torch.tensor(case["rewards"]).view(-1, case["group_size"])
    advantages = group_advantages(rewards, settings.advantage_eps).flatten()
    logprobs, negative = (torch.tensor(case[key], requires_grad=True) for key in INPUTS)
    old, mask = torch.tensor(case["old_logp"]), torch.tensor(case["mask"]).bool()
    num_tokens = mask.sum()
    loss, metrics = tapo_loss(logprobs, old, negative, advantages, mask, num_tokens, settings)
    loss.backward()
    tokens = {
        "policy_loss": clipped_surrogate(logprobs, old, advantages, settings)[0],
        "contrastive_kl": inter_class_kl(logprobs, negative, settings),
        "entropy": logprobs,
        "negative_entropy": negative,
    }
    summands = {name: largest(values[mask] / num_tokens) for name, values in tokens.items()}
    got = {
        "advantages": advantages,
        "policy_loss": metrics["loss/policy"],
        "contrastive_kl": metrics["loss/inter_class_kl"],
        "entropy": metrics["loss/entropy"],
        "negative_entropy": metrics["loss/negative_entropy"],
        "total_loss": metrics["loss/total"],
        "grad_logp": logprobs.grad,
        "grad_neg_logp": negative.grad if settings.negative_gradient else torch.zeros_like(old),
        "clip_fraction_high": metrics["loss/clip_low_fraction"]
        + metrics["loss/clip_high_fraction"],
        "clip_fraction_low": metrics.get("loss/clip_dual_fraction", torch.zeros(())),
    }
    weights = (1, settings.inter_class_coef, settings.entropy_coef, settings.negative_entropy_coef)
    parts = (got[name] for name in tokens)
    summands["total_loss"] = max(largest(w * part) for w, part in zip(weights, parts, strict=True))
    return got, summands


INPUTS = ("logp", "neg_logp")


def largest(values):
    return values.detach().abs().max().item()


def check_case(case, released):
    settings, expected = settings_of(case["config"], released), case["expected"]
    got, summands = replay(case, settings)
    assert "total_loss" in expected
    for name in got.keys() & expected.keys():
        wanted = torch.tensor(expected[name])
        assert got[name].shape == wanted.shape, name
        bound = RELATIVE * max(largest(wanted), summands.get(name, 0.0)) + ABSOLUTE
        assert largest(got[name] - wanted) <= bound, name
    size = case["group_size"]
    groups = [case["accuracy"][i : i + size] for i in range(0, len(case["accuracy"]), size)]
    assert [is_informative(group, settings) for group in groups] == expected["kept_groups"]


@pytest.mark.parametrize("case", BY_HAND, ids=["kept", "dropped"])
def test_losses_and_gradients_are_those_worked_by_hand(case, released):
    check_case(case, released)


def test_losses_gradients_and_kept_groups_equal_the_released_ones(tapo_loss_case, released):
    check_case(tapo_loss_case, released)


def test_rewards_equal_the_released_ones(rewards_case, released):
    reward = score_completion(rewards_case["response"], rewards_case["ground_truth"], (), released)
    got = {"overall": reward.total, "accuracy": reward.accuracy, "format": reward.format}
    for name in got.keys() & rewards_case.keys():
        assert got[name] == pytest.approx(rewards_case[name], rel=RELATIVE, abs=ABSOLUTE), name
