"""Reports of learning that goes wrong: collapse, format without accuracy, listed answers.

They change nothing and stop nothing: each is a metric, 1 while it holds, and one sentence in the
log when it begins. All are functions of the run's history, which has the reports of earlier steps,
so a continued run reports the same.
"""

import logging
from collections.abc import Callable, Mapping, Sequence

History = Sequence[Mapping[str, float]]

WINDOW = 5
"""Steps that a report looks back on; a comparison takes the first or best and the last so many."""
COLLAPSE = 0.5
"""The reward has collapsed below this share of its best window ..."""
LEAST_REWARD = 0.1
"""... if that was at least this: the reward of format alone."""
FORMAT_GAIN, ACCURACY_GAIN = 0.1, 0.01
"""Only the format is learnt when it has gained more than the first, accuracy less than the
second ..."""
CEILING = 0.9
"""... and accuracy is below this, so has room to gain."""
BEST = "reward/best"
"""The largest mean reward of WINDOW steps so far, a metric as well; none in the first steps."""
LISTED = 0.05
"""Largest share of answers that name several sub-categories."""


def learning_reports(history: History) -> dict[str, float]:
    """A metric per report: 1 where it holds after the last step of `history`, else 0; and BEST.

    Earlier steps have theirs. Looks at so many steps, however long the history is.
    """
    reports = {name: float(holds(history)) for name, (holds, _) in REPORTS.items()}
    if len(history) >= WINDOW:
        reward = _mean(history[-WINDOW:], "reward/mean")
        reports[BEST] = max(reward, history[-2].get(BEST, reward))
    return reports


def log_new_reports(history: History) -> None:
    """Log the sentence of each report that holds in the last step and not in the one before."""
    before = history[-2] if len(history) > 1 else {}
    for name, (_, sentence) in REPORTS.items():
        if history[-1][name] and not before.get(name):
            logging.getLogger(__name__).warning("tapo, step %d: %s", len(history), sentence)


def _has_collapsed(history: History) -> bool:
    if len(history) < 2 * WINDOW:
        return False
    best = history[-1 - WINDOW][BEST]
    return best >= LEAST_REWARD and _mean(history[-WINDOW:], "reward/mean") < COLLAPSE * best


def _learns_format_only(history: History) -> bool:
    if len(history) < 2 * WINDOW:
        return False
    first, last = history[:WINDOW], history[-WINDOW:]
    accuracy = _mean(last, "reward/accuracy")
    format_gain = _mean(last, "reward/format") - _mean(first, "reward/format")
    accuracy_gain = accuracy - _mean(first, "reward/accuracy")
    return format_gain > FORMAT_GAIN and accuracy_gain < ACCURACY_GAIN and accuracy < CEILING


def _lists_answers(history: History) -> bool:
    return _mean(history[-WINDOW:], "rollout/hedged") > LISTED


def _mean(steps: History, name: str) -> float:
    return sum(step[name] for step in steps) / len(steps)


REPORTS: Mapping[str, tuple[Callable[[History], bool], str]] = {
    "guard/reward_collapse": (
        _has_collapsed,
        f"the reward has fallen below {COLLAPSE:g} of its best; lower tapo.lr, or stop here and "
        "take an earlier checkpoint",
    ),
    "guard/format_only": (
        _learns_format_only,
        "the format is being learnt, the accuracy is not; raise tapo.accuracy_weight, or train "
        "stage 1 until it answers in the format (sft.min_format_rate)",
    ),
    "guard/listed_answers": (
        _lists_answers,
        f"more than {LISTED:.0%} of the answers list several sub-categories; set "
        "tapo.answer_match to exact, which pays for one name only",
    ),
}
