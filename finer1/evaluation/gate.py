"""Whether a candidate may take the champion's place: by the interval of a paired difference."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

from finer1.evaluation.metrics import classes
from finer1.evaluation.statistics import Bootstrap, Interval, Part, average_interval, paired_values
from finer1.evaluation.verdicts import Verdict


class Answer(TypedDict):
    """What is kept of one open question's answer."""

    name: str
    """The class, unique across datasets and categories."""
    seen: bool
    is_correct: bool


Answers = Mapping[str, Answer]
"""By id of the question."""


@dataclass(frozen=True)
class Gate:
    """What the comparison says."""

    has_passed: bool
    interval: Interval
    """Of the candidate's open accuracy less the rival's, seen and unseen equally weighted."""
    num_questions: int


def open_answers(verdicts: Iterable[Verdict]) -> dict[str, Answer]:
    """What a gate compares of one model's verdicts."""
    rows = [row for row in verdicts if row.setting == "open"]
    return {
        row.question_id: Answer(name=name, seen=row.seen, is_correct=row.is_correct)
        for row, name in zip(rows, classes(rows), strict=True)
    }


def is_comparable(candidate: Answers, rival: Mapping[str, Any]) -> bool:
    """True when both answered the same questions about the same classes."""

    def asked(answers: Mapping[str, Any]) -> dict[str, tuple[str, bool]]:
        return {key: (row["name"], row["seen"]) for key, row in answers.items()}

    return asked(candidate) == asked(rival)


def pass_gate(candidate: Answers, rival: Answers, bootstrap: Bootstrap, gain: float) -> Gate:
    """Passed when the interval of the difference lies above `gain`, a share, as a whole.

    The mean over seen and unseen classes of the mean paired difference, exact answers, classes
    resampled; of one side where there is but one. Raises ValueError without questions, or unless
    both answered the same ones.
    """
    parts = []
    for seen in (True, False):
        keys = [key for key, row in candidate.items() if row["seen"] == seen]
        others = [key for key, row in rival.items() if row["seen"] == seen]
        if not keys and not others:
            continue
        values = paired_values(
            keys,
            [float(candidate[key]["is_correct"]) for key in keys],
            others,
            [float(rival[key]["is_correct"]) for key in others],
        )
        parts.append(Part(values, [candidate[key]["name"] for key in keys], [0] * len(keys)))
    if not parts:
        raise ValueError("no open question was answered; a gate compares these")
    interval = average_interval(parts, bootstrap, resample_runs=False)
    return Gate(interval.low > gain, interval, len(candidate))
