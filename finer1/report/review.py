"""What people decided about the rationales, as far as the page tells it."""

from collections.abc import Mapping
from dataclasses import dataclass

from finer1.teacher.decisions import REJECT_REASONS

_FATES = ("accepted", "edited", "rejected", "undecided")


@dataclass(frozen=True)
class ReviewSummary:
    """The human review of a run."""

    sentences: tuple[str, ...]
    rows: tuple[tuple[str, tuple[int, ...]], ...]
    """(which rationales, accepted as written, corrected, rejected and not judged)."""


def summarise_review(
    mode: str, confidence: float, recorded: Mapping[str, float]
) -> ReviewSummary | None:
    """The review from the metrics of its stage; None where it is off.

    confidence: level of the recorded interval.
    """
    if mode == "pass":
        return None
    count = {
        name.removeprefix("review/"): value
        for name, value in recorded.items()
        if name.startswith("review/")
    }
    rows = (
        ("passed the filters", tuple(int(count[name]) for name in _FATES)),
        ("from the queue", tuple(int(count[f"queued_{name}"]) for name in _FATES)),
    )
    told = [_acceptance(count, confidence), *_reasons(count), *_stale(count)]
    return ReviewSummary(tuple(told), rows)


def _acceptance(count: Mapping[str, float], confidence: float) -> str:
    num_filtered = int(count["rationales"])
    if "acceptance" not in count:
        return f"Nobody judged any of the {num_filtered} rationales that passed the filters."
    judged = num_filtered - int(count["undecided"])
    which = "all" if judged == num_filtered else f"{judged}, lowest yield first and not at random"
    who, stand_in = "people", int(count["stand_in"])
    if stand_in:
        known = "a program that knows what was drawn (review.stand_in)"
        who = known if stand_in == judged else f"people, and for {stand_in} rationales {known},"
    return (
        f"Of the {num_filtered} rationales that passed the filters, {who} judged {which}: "
        f"{100 * count['acceptance']:.1f} % were accepted as written ({100 * confidence:g} % "
        f"Wilson interval {100 * count['acceptance_low']:.1f} to "
        f"{100 * count['acceptance_high']:.1f})."
    )


def _reasons(count: Mapping[str, float]) -> list[str]:
    found = {words: int(count[f"reason_{name}"]) for name, words in REJECT_REASONS.items()}
    given = [f"{words} ({n})" for words, n in found.items() if n]
    return [f"Reasons given for rejects: {', '.join(given)}."] if given else []


def _stale(count: Mapping[str, float]) -> list[str]:
    stale = int(count["stale"])
    if not stale:
        return []
    return [f"Decisions on {stale} rationales whose text has changed since were not applied."]
