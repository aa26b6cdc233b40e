"""The released evaluator's rules, row by row ([R] eval/evaluation.py).

They differ from the strict rule and from the released reward's (finer1/evaluation/answers.py): the
answer reaches from the first opening tag to the last closing one, tags are read literally, and an
open question is scored on the whole output where there is no answer. An answer that lists every
candidate is right by them.
"""

CAR = "car"
"""The word of images whose label loses its last two words (body style and year)."""
_OPEN, _CLOSE = "<answer>", "</answer>"
_WORDS = (("aircraft", "aircraft"), ("birds", "bird"), ("cars", CAR), ("flower", "flower"))
"""What an image path holds -> word; the first that fits."""
OTHER = "object"
"""The word where none of those fits."""
_DATASETS = frozenset({"aircraft", CAR, "flower"})
"""Whose released paths hold their word."""


def released_answer(text: str) -> str | None:
    """The text between the first `<answer>` and the last `</answer>`, stripped; None without."""
    # No pattern: greedy over a megabyte of opening tags it would take hours.
    start, end = text.find(_OPEN) + len(_OPEN), text.rfind(_CLOSE)
    return text[start:end].strip() if len(_OPEN) <= start <= end else None


def released_output(text: str) -> str:
    """What an open question is scored on: the answer, or all of `text` without one."""
    return released_answer(text) or text


def is_released_closed(text: str, label: str) -> bool:
    """True when the answer of a closed question contains the label, `_` read as a space."""
    answer = released_answer(text)
    return bool(answer) and _spaced(label) in _spaced(answer or "")


def is_released_open(text: str, label: str, is_car: bool) -> bool:
    """True when the answer of an open question, or the whole output, contains the label.

    Of the label alone `_` is read as a space; a car's last two words need not be there.
    """
    wanted = " ".join(label.lower().split()[:-2]) if is_car else _spaced(label)
    return wanted in released_output(text).lower()


def released_word(image_path: str) -> str:
    """The super-category that Eq. 5 compares with, by what the path holds, case as it is.

    The released paths of birds, dogs and pets hold none of the words: theirs is `object`.
    """
    return next((word for part, word in _WORDS if part in image_path), OTHER)


def released_dataset_word(dataset: str) -> str:
    """The same word by the dataset's name, for images that lie elsewhere than the released ones."""
    return dataset if dataset in _DATASETS else OTHER


def _spaced(text: str) -> str:
    return text.lower().replace("_", " ")
