"""Which settings of stage 2 contradict each other; known before any model is read."""

from finer1.model_params import TapoParams


def check_settings(settings: TapoParams) -> None:
    """Raise ValueError for settings that contradict each other."""
    if settings.anchor_rollouts + settings.positive_rollouts < 2:
        raise ValueError(
            "tapo.anchor_rollouts + tapo.positive_rollouts must be at least 2: advantages compare "
            "the rollouts of a group"
        )
    if settings.prompts_per_step % settings.minibatches:
        raise ValueError(
            f"tapo.minibatches ({settings.minibatches}) must divide tapo.prompts_per_step "
            f"({settings.prompts_per_step})"
        )
    is_endless = settings.dynamic_sampling and settings.max_resamples is None
    if is_endless and not settings.keep_when_all_degenerate:
        raise ValueError(
            "tapo.max_resamples: null needs tapo.keep_when_all_degenerate: true; otherwise a step "
            "in which no group survives would sample for ever"
        )
    if settings.keep_low >= settings.keep_high:
        raise ValueError(
            f"tapo.keep_low ({settings.keep_low}) must be below tapo.keep_high "
            f"({settings.keep_high})"
        )
    if settings.strategy == "direct":
        _check_direct(settings)


def _check_direct(settings: TapoParams) -> None:
    if settings.accuracy_weight < 1 or settings.answer_match != "exact":
        raise ValueError(
            "tapo.strategy is direct, whose answers have no tags to reward or to look into, but "
            f"tapo.accuracy_weight is {settings.accuracy_weight:g} and tapo.answer_match "
            f"{settings.answer_match}; set them to 1 and exact, or tapo.strategy to think"
        )
