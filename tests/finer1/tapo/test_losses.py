"""Numbers worked by hand: one rollout of one token unless said otherwise."""

import math

import pytest
import torch

from finer1.tapo.losses import tapo_loss

PLAIN = {
    "clip_low": 0.2,
    "clip_high": 0.28,
    "clip_dual": None,
    "inter_class_coef": 0.0,
    "entropy_coef": 0.0,
    "negative_entropy_coef": 0.0,
    "kl_ratio": "neg_over_pos",
    "log_ratio_clamp": 20.0,
    "kl_clamp": 10.0,
}


@pytest.fixture
def loss(settings):
    def compute(ratio=1.0, advantage=1.0, old=-1.0, negative=None, **changes):
        """Loss and metrics where pi = ratio x pi_old; log pi = old + log ratio."""
        return tapo_loss(
            torch.tensor([[old + math.log(ratio)]]),
            torch.tensor([[old]]),
            None if negative is None else torch.tensor([[negative]]),
            torch.tensor([advantage]),
            torch.tensor([[True]]),
            1,
            settings.model_copy(update=PLAIN | changes),
        )

    return compute


@pytest.mark.parametrize(
    ("ratio", "advantage", "expected"),
    [
        (1.0, 2.0, -2.0),  # -A r
        (1.2, 1.0, -1.2),  # inside the bounds
        (1.5, 1.0, -1.28),  # good and much likelier: bounded by 1 + 0.28
        (0.5, 1.0, -0.5),  # good but less likely: free
        (0.5, -1.0, 0.8),  # bad and much less likely: bounded by 1 - 0.2
        (5.0, -1.0, 5.0),  # bad but much likelier: free without the dual clip
    ],
)
def test_the_clipped_surrogate(loss, ratio, advantage, expected):
    assert loss(ratio, advantage)[0].item() == pytest.approx(expected, rel=1e-5)


def test_the_dual_clip_bounds_the_loss_of_a_bad_rollout(loss):
    value, metrics = loss(5.0, -1.0, clip_dual=3.0)
    assert value.item() == pytest.approx(3.0)  # -A x 3
    assert metrics["loss/clip_dual_fraction"] == 1


def test_clip_fractions_say_which_bound_bites(loss):
    assert loss(1.5, 1.0)[1]["loss/clip_high_fraction"] == 1
    assert loss(1.5, 1.0)[1]["loss/clip_low_fraction"] == 0
    assert loss(0.5, -1.0)[1]["loss/clip_low_fraction"] == 1
    assert loss(0.5, 1.0)[1]["loss/clip_low_fraction"] == 0


def test_the_inter_class_term_rewards_a_high_divergence(loss):
    # log pi = -1, log pi_neg = -2, d = -1: e^-1 + 1 - 1 = 0.36788; -0.5 x 0.36788 = -0.18394.
    value, metrics = loss(advantage=0.0, negative=-2.0, inter_class_coef=0.5)
    assert metrics["loss/inter_class_kl"].item() == pytest.approx(0.36788, abs=1e-5)
    assert value.item() == pytest.approx(-0.18394, abs=1e-5)


def test_the_papers_ratio_inverts_the_estimate(loss):
    # d = 1: e - 1 - 1 = 0.71828.
    _, metrics = loss(negative=-2.0, inter_class_coef=0.5, kl_ratio="pos_over_neg")
    assert metrics["loss/inter_class_kl"].item() == pytest.approx(0.71828, abs=1e-5)


def test_the_log_ratio_is_clamped(loss):
    # d = 4 becomes 2: e^2 - 2 - 1 = 4.38906.
    _, metrics = loss(old=-5.0, negative=-1.0, inter_class_coef=0.5, log_ratio_clamp=2.0)
    assert metrics["loss/inter_class_kl"].item() == pytest.approx(4.38906, abs=1e-4)


def test_the_estimate_is_clamped(loss):
    # d = 4: e^4 - 4 - 1 = 49.6, bounded by 10.
    _, metrics = loss(old=-5.0, negative=-1.0, inter_class_coef=0.5)
    assert metrics["loss/inter_class_kl"].item() == pytest.approx(10.0)


def test_both_entropies_are_minimised(loss):
    # 0.1 x 1 + 0.2 x 3, and no divergence term.
    value, _ = loss(advantage=0.0, negative=-3.0, entropy_coef=0.1, negative_entropy_coef=0.2)
    assert value.item() == pytest.approx(0.7, abs=1e-6)


def test_every_token_weighs_the_same(settings):
    # Rollouts of 3 and 1 tokens, advantages 1 and -1, ratio 1: (-1 - 1 - 1 + 1) / 4 = -0.5.
    logprobs = torch.full((2, 3), -1.0)
    mask = torch.tensor([[True, True, True], [True, False, False]])
    advantages = torch.tensor([1.0, -1.0])
    plain = settings.model_copy(update=PLAIN)
    loss, _ = tapo_loss(logprobs, logprobs, None, advantages, mask, mask.sum(), plain)
    assert loss.item() == pytest.approx(-0.5)


def test_padding_does_not_change_the_loss_or_its_gradient(settings):
    torch.manual_seed(0)
    values = torch.randn(3, 2, 4)
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
    results = []
    for filling in (0.0, float("-inf")):
        logprobs, old, negative = (torch.where(mask, v, filling) for v in values)
        logprobs.requires_grad_()
        advantages = torch.tensor([1.0, -1.0])
        loss, _ = tapo_loss(logprobs, old, negative, advantages, mask, mask.sum(), settings)
        (gradient,) = torch.autograd.grad(loss, logprobs)
        results.append((loss.item(), gradient[mask]))
    assert results[0][0] == results[1][0]
    torch.testing.assert_close(results[0][1], results[1][1])


def test_parts_of_an_update_add_up(settings):
    torch.manual_seed(0)
    logprobs, old, negative = torch.randn(3, 4, 5)
    advantages, mask = torch.randn(4), torch.rand(4, 5) > 0.3
    whole, _ = tapo_loss(logprobs, old, negative, advantages, mask, mask.sum(), settings)
    parts = [
        tapo_loss(logprobs[i], old[i], negative[i], advantages[i], mask[i], mask.sum(), settings)[0]
        for i in (slice(0, 1), slice(1, 4))
    ]
    torch.testing.assert_close(sum(parts), whole)
