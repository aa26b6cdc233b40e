"""Where a TAPO run stands: all that a continued run needs besides weights and moments."""

from dataclasses import dataclass, field

from finer1.tapo.sampling import smoothed_rate


@dataclass
class TapoProgress:
    """State after whole rollout steps; JSON values only."""

    step: int = 0
    """Rollout steps done."""
    next_prompt: int = 0
    """Number of the next prompt of the stream."""
    last_sampled: int = 0
    """Groups sampled in the last step."""
    last_survivors: int = 0
    """Groups of the last step with mixed accuracy."""
    survivors: int = 0
    """Groups with mixed accuracy over the run."""
    skipped: int = 0
    """Updates skipped for a loss or gradient that is not finite."""
    skipped_in_a_row: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    """Metrics of each step, without times."""

    @property
    def keep_rate(self) -> float:
        """Share of groups that is expected to survive; 1 before the first step."""
        if self.last_sampled == 0:
            return 1.0
        return smoothed_rate(self.last_survivors, self.last_sampled)

    def summary(self) -> dict[str, float]:
        """Metrics of the whole run."""
        means = ("reward/mean", "reward/accuracy", "reward/format", "rollout/keep_rate")
        sums = ("rollout/groups", "rollout/refills", "rollout/exhausted", "train/groups")
        first, last = self.history[0], self.history[-1]
        return {
            "train/steps": self.step,
            "train/skipped_updates": self.skipped,
            **{f"{name}_first": first[name] for name in means[:3]},
            **{f"{name}_last": last[name] for name in means[:3]},
            **{name: sum(m[name] for m in self.history) / len(self.history) for name in means},
            **{name: sum(m[name] for m in self.history) for name in sums},
        }
