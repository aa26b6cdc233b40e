import pytest
import torch

from finer1.tapo.advantages import group_advantages


def test_advantages_are_standardized_rewards_of_the_whole_group():
    # Mean 0.5; deviations +-0.5; unbiased std sqrt(4 x 0.25 / 3) = 0.57735; ratio 0.86603.
    got = group_advantages(torch.tensor([[1.0, 0.0, 1.0, 0.0]]), eps=0.0)
    torch.testing.assert_close(got, torch.tensor([[0.866025, -0.866025, 0.866025, -0.866025]]))


def test_groups_do_not_mix():
    together = group_advantages(torch.tensor([[1.0, 0.0], [0.1, 0.9]]), eps=1e-6)
    apart = group_advantages(torch.tensor([[0.1, 0.9]]), eps=1e-6)
    torch.testing.assert_close(together[1:], apart)


@pytest.mark.parametrize(("reward", "size"), [(0.9, 6), (0.1, 5), (1.0, 10), (0.3, 7)])
def test_equal_rewards_give_zero_advantage(reward, size):
    got = group_advantages(torch.full((2, size), reward), eps=1e-6)
    assert got.eq(0).all()
    assert got.dtype == torch.float32


def test_eps_is_added_to_the_standard_deviation():
    # Deviations +-0.5, std 0.70711; 0.5 / (0.70711 + 0.29289) = 0.5.
    got = group_advantages(torch.tensor([[1.0, 0.0]]), eps=1 - 0.5**0.5)
    torch.testing.assert_close(got, torch.tensor([[0.5, -0.5]]))


def test_a_group_of_one_is_refused():
    with pytest.raises(ValueError, match="at least two"):
        group_advantages(torch.ones(3, 1), eps=1e-6)
