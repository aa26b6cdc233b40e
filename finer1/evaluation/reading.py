"""What is read as the answer of a completion: one rule for a run and for `finer1 score`."""

from collections.abc import Sequence
from dataclasses import replace

from finer1.evaluation.answers import named_labels, normalise
from finer1.evaluation.released_rules import released_answer
from finer1.prompts import Completion, parse_completion


def read_completion(text: str, answer_from: str) -> Completion:
    """The parsed completion; text without an answer element is the answer where it may be.

    answer_from: tags or text, as Prediction.answer_from.
    """
    completion = parse_completion(text)
    if answer_from == "text" and released_answer(text) is None:
        return replace(completion, answer=text.strip() or None)
    return completion


def offered_answer(text: str, answer_from: str) -> str:
    """All that a completion offers as its answer, also where that is more than one element.

    From the first opening tag to the last closing one; without them the text where it may be.
    """
    found = released_answer(text)
    return text if found is None and answer_from == "text" else found or ""


def is_name(answer: str | None) -> bool:
    """True when something is left of an answer after normalisation, so that it can be right."""
    return answer is not None and normalise(answer) != ""


def names_several(answer: str, labels: Sequence[str]) -> bool:
    """True when an answer names two or more of the labels: a hedge."""
    return len(named_labels(answer, labels)) > 1
