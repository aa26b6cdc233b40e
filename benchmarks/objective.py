"""The loss that all sides train on: TAPO's at the paper's values.

`finer1.tapo.losses.tapo_loss` needs the project's settings and their packages; this needs torch
alone. tests/benchmarks holds the two together.
"""

from collections.abc import Sequence

import torch

from benchmarks.replay import Replay

CLIP_LOW, CLIP_HIGH = 0.2, 0.28
INTER_CLASS, ENTROPY, NEGATIVE_ENTROPY = 0.01, 0.03, 0.03
LOG_RATIO_CLAMP, KL_CLAMP = 20.0, 10.0


_ALL = slice(None)


def update_loss(
    logprobs: Sequence[torch.Tensor],
    old_logprobs: torch.Tensor,
    replay: Replay,
    rows: slice = _ALL,
) -> torch.Tensor:
    """Clipped surrogate, less inter-class KL, plus the entropies: a scalar with gradient.

    logprobs: [R, T] under the anchor; under the negative, too, where there is one. rows: the
    rollouts that they are of; the loss is these rollouts' share of the mean over all.
    """
    mask, advantages = replay.completion_mask[rows], replay.advantages[rows].unsqueeze(-1)

    def mean(values: torch.Tensor) -> torch.Tensor:
        return torch.where(mask, values, 0.0).sum() / replay.num_tokens

    ratio = torch.exp(logprobs[0] - old_logprobs[rows])
    bounded = ratio.clamp(1 - CLIP_LOW, 1 + CLIP_HIGH)
    loss = mean(torch.maximum(-advantages * ratio, -advantages * bounded))
    loss = loss + ENTROPY * mean(-logprobs[0])
    if len(logprobs) > 1:
        difference = (logprobs[1] - logprobs[0]).clamp(-LOG_RATIO_CLAMP, LOG_RATIO_CLAMP)
        kl = (torch.exp(difference) - difference - 1).clamp(-KL_CLAMP, KL_CLAMP)
        loss = loss - INTER_CLASS * mean(kl) + NEGATIVE_ENTROPY * mean(-logprobs[1])
    return loss
