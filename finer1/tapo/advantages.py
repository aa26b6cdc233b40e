"""Group-relative advantages over the pooled rollouts of a prompt (Sec. 4.3 of Fine-R1)."""

import torch


def group_advantages(rewards: torch.Tensor, eps: float) -> torch.Tensor:
    """Standardize the rewards of each group over its anchor and positive rollouts together.

    rewards: [B, G], anchor rollouts first, then positive ones. The standard deviation is the
    unbiased one and `eps` is added to it. Returns [B, G], float32, each row with mean 0; zeros
    where every reward of a group is equal. Raises ValueError if G < 2.
    """
    if rewards.shape[-1] < 2:
        raise ValueError(
            f"a group has {rewards.shape[-1]} rollout; advantages need at least two, so raise "
            "tapo.anchor_rollouts or tapo.positive_rollouts"
        )
    # float64: the float32 mean of six times 0.9 is not 0.9, and what is left over, divided by
    # eps, would be an advantage of 0.06.
    exact = rewards.double()
    centred = exact - exact.mean(dim=-1, keepdim=True)
    return (centred / (exact.std(dim=-1, keepdim=True) + eps)).float()
