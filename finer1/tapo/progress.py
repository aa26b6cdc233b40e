"""Where a TAPO run stands: all that a continued run needs besides weights and moments."""

from dataclasses import dataclass, field

from finer1.tapo.sampling import KeepCounts, Kept


@dataclass
class TapoProgress:
    """State after whole rollout steps; JSON values only."""

    step: int = 0
    """Rollout steps done."""
    next_prompt: int = 0
    """Number of the next prompt of the stream."""
    recent_sampled: float = 0.0
    """Groups sampled in the last steps, older ones counting for less."""
    recent_survivors: float = 0.0
    """Those of them with mixed accuracy."""
    streaks: dict[str, int] = field(default_factory=dict)
    """Anchor -> its degenerate groups in a row; empty when none is passed over for them."""
    survivors: int = 0
    """Groups with mixed accuracy over the run."""
    skipped: int = 0
    """Updates skipped for a loss or gradient that is not finite."""
    skipped_in_a_row: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    """Metrics of each step, without times."""

    @property
    def recent(self) -> KeepCounts:
        """Counts that tell how many groups to ask for."""
        return KeepCounts(self.recent_survivors, self.recent_sampled)

    def count(self, kept: Kept, decay: float) -> None:
        """One more step is done, in which these groups were sampled."""
        recent = self.recent.faded(decay).plus(kept.num_survivors, len(kept.sampled))
        self.recent_survivors, self.recent_sampled = recent.survivors, recent.sampled
        self.survivors += kept.num_survivors
        self.step += 1

    def summary(self) -> dict[str, float]:
        """Metrics of the whole run."""
        means = ("reward/mean", "reward/accuracy", "reward/format", "rollout/keep_rate")
        sums = (
            "rollout/groups",
            "rollout/refills",
            "rollout/exhausted",
            "rollout/passed_over",
            "train/groups",
        )
        first, last = self.history[0], self.history[-1]
        return {
            "train/steps": self.step,
            "train/skipped_updates": self.skipped,
            **{f"{name}_first": first[name] for name in means[:3]},
            **{f"{name}_last": last[name] for name in means[:3]},
            **{name: sum(m[name] for m in self.history) / len(self.history) for name in means},
            **{name: sum(m[name] for m in self.history) for name in sums},
        }
