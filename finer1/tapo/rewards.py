"""The reward of one rollout: accuracy and format (Sec. 4.3 of Fine-R1).

What is read as the answer is what evaluation reads under the same strategy.

The default is stricter than the paper's: one exact name, and all four sections. The paper's rule
(the truth is contained in the answer) was gamed within ten steps by answers that list names, and
a reward for the answer alone lets the rationale rot.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from finer1.evaluation.answers import (
    is_exact,
    is_included,
    join_brackets,
    named_labels,
    normalise,
)
from finer1.evaluation.reading import read_completion
from finer1.model_params import TapoParams
from finer1.prompts import WORDINGS, Completion, split_options

_RELEASED_FORMAT = re.compile(r"<think>.*?</think>\s*<answer>.*?</answer>", re.DOTALL)


@dataclass(frozen=True)
class Reward:
    """What one completion earned, and what was found in it."""

    total: float
    """accuracy_weight x accuracy + the rest x format, in [0, 1]."""
    accuracy: float
    format: float
    is_parsed: bool
    """Exactly one closed answer element was found, or with tapo.strategy `direct` any text."""
    is_truth_among_options: bool
    """The options section lists the label."""
    is_answer_predicted: bool
    """The answer equals the prediction section."""
    is_hedged: bool
    """The answer names two or more sub-categories."""


def score_completion(text: str, label: str, labels: Sequence[str], settings: TapoParams) -> Reward:
    """The reward of completion `text`; never raises, whatever a model wrote.

    labels: all sub-categories of the label's category, for counting hedged answers.
    """
    completion = read_completion(text, WORDINGS[settings.strategy].answer_from)
    exact = settings.answer_match == "exact"
    is_correct = is_exact(completion, label) if exact else is_included(text, label)
    accuracy = float(is_correct)
    form = float(_is_formatted(text, completion, settings))
    answer = completion.answer
    options = split_options(completion.sections.get("options", ""))
    prediction = completion.sections.get("prediction")
    return Reward(
        total=settings.accuracy_weight * accuracy + (1 - settings.accuracy_weight) * form,
        accuracy=accuracy,
        format=form,
        is_parsed=answer is not None,
        is_truth_among_options=normalise(label) in map(normalise, options),
        is_answer_predicted=answer is not None
        and prediction is not None
        and normalise(answer) == normalise(prediction),
        is_hedged=answer is not None and len(named_labels(answer, labels)) > 1,
    )


def _is_formatted(text: str, completion: Completion, settings: TapoParams) -> bool:
    if settings.format_rule == "sections":
        return completion.is_sectioned
    return _RELEASED_FORMAT.fullmatch(join_brackets(text)) is not None
