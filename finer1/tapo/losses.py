"""The TAPO objective on per-token log-probabilities (Sec. 4.3 of Fine-R1).

    L = L_clip - gamma KL[pi(.|x) || pi(.|x_neg)] + eta_1 H[pi(.|x)] + eta_2 H[pi(.|x_neg)]

Shape letters: R rollouts, T completion tokens. Every term is a mean over the completion tokens
of the whole update; a part of an update gives its share of that mean, and shares add up.
"""

import torch

from finer1.model_params import TapoParams

Metrics = dict[str, torch.Tensor]


def tapo_loss(
    logprobs: torch.Tensor,
    old_logprobs: torch.Tensor,
    negative_logprobs: torch.Tensor | None,
    advantages: torch.Tensor,
    completion_mask: torch.Tensor,
    num_tokens: torch.Tensor | float,
    settings: TapoParams,
) -> tuple[torch.Tensor, Metrics]:
    """The loss to minimise, a scalar with gradient, and its parts, detached.

    logprobs: [R, T], policy under the update image, with gradient. old_logprobs: [R, T], behavior
    policy, no gradient. negative_logprobs: [R, T], policy under the negative image; its gradient
    counts when `settings.negative_gradient`; None leaves out both terms that need it.
    advantages: [R].
    completion_mask: [R, T], true on completion tokens. num_tokens: completion tokens of the
    whole update, the denominator of every mean.
    """

    def mean(values: torch.Tensor) -> torch.Tensor:
        # where, not a product: padding may hold infinities, and 0 x inf is not 0.
        return torch.where(completion_mask, values, 0.0).sum() / num_tokens

    token_losses, clipped = clipped_surrogate(logprobs, old_logprobs, advantages, settings)
    policy = mean(token_losses)
    entropy = mean(-logprobs)
    loss = policy + settings.entropy_coef * entropy
    metrics = {"loss/policy": policy, "loss/entropy": entropy}
    metrics |= {f"loss/{name}_fraction": mean(where.float()) for name, where in clipped.items()}
    if negative_logprobs is not None:
        if not settings.negative_gradient:
            negative_logprobs = negative_logprobs.detach()
        kl = mean(inter_class_kl(logprobs, negative_logprobs, settings))
        negative_entropy = mean(-negative_logprobs)
        loss = loss - settings.inter_class_coef * kl
        loss = loss + settings.negative_entropy_coef * negative_entropy
        metrics |= {"loss/inter_class_kl": kl, "loss/negative_entropy": negative_entropy}
    metrics["loss/total"] = loss
    return loss, {name: value.detach() for name, value in metrics.items()}


def clipped_surrogate(
    logprobs: torch.Tensor,
    old_logprobs: torch.Tensor,
    advantages: torch.Tensor,
    settings: TapoParams,
) -> tuple[torch.Tensor, Metrics]:
    """Per-token policy loss [R, T] with clip-higher and, if set, dual clip; where each bites.

    Sec. 3.1 of DAPO (arXiv:2503.14476); dual clip: Eq. 5 of arXiv:1912.09729.
    """
    bound = settings.log_ratio_clamp  # no ratio overflows: 0 x inf would be NaN
    ratio = torch.exp((logprobs - old_logprobs).clamp(-bound, bound))
    advantage = advantages.unsqueeze(-1)
    free = -advantage * ratio
    bounded = ratio.clamp(1 - settings.clip_low, 1 + settings.clip_high)
    losses = torch.maximum(free, -advantage * bounded)
    clipped = {
        "clip_low": (ratio < 1 - settings.clip_low) & (advantage < 0),
        "clip_high": (ratio > 1 + settings.clip_high) & (advantage > 0),
    }
    if settings.clip_dual is not None:
        ceiling = -advantage * settings.clip_dual
        is_above = (advantage < 0) & (losses > ceiling)
        clipped["clip_dual"] = is_above
        losses = torch.where(is_above, ceiling, losses)
    return losses, clipped


def inter_class_kl(
    logprobs: torch.Tensor, negative_logprobs: torch.Tensor, settings: TapoParams
) -> torch.Tensor:
    """Per-token low-variance estimate [R, T] of KL[pi(.|x) || pi(.|x_neg)], clamped.

    `neg_over_pos` is the usual estimate, e^d - d - 1 with d = log pi_neg - log pi, as in the
    released code; `pos_over_neg` takes the inverse ratio, as Eq. 3-4 of the paper are written.
    """
    difference = negative_logprobs - logprobs
    if settings.kl_ratio == "pos_over_neg":
        difference = -difference
    bound = settings.log_ratio_clamp
    difference = difference.clamp(-bound, bound)
    kl = torch.exp(difference) - difference - 1
    return kl.clamp(-settings.kl_clamp, settings.kl_clamp)
