"""The ladder that an image without a rationale climbs, and what to do where it ends.

The first rung are `cot.max_attempts` samples at `cot.temperature`; the others, of `cot.ladder`,
change the temperature or the image.
"""

from finer1.data_params import CotParams, RungParams
from finer1.teacher.yields import ClassYield

_SETTINGS = {
    "length": "cot.min_words and cot.max_words",
    "option_count": "cot.max_options",
    "option_unknown": "cot.options",
}
"""Reason -> the settings that it is a matter of."""


def rungs(settings: CotParams) -> tuple[RungParams, ...]:
    """All rungs, the first one included."""
    first = RungParams(
        attempts=settings.max_attempts, temperature=settings.temperature, image="same"
    )
    return (first, *settings.ladder)


def advise(count: ClassYield, settings: CotParams, has_other: bool) -> str:
    """What to do about a sub-category; empty where it has a rationale.

    has_other: one of its free training images has not been asked about.
    """
    if count.kept:
        return ""
    if not count.asked:
        return "not asked, since cot.total was reached before; raise it"
    remedies = []
    if count.queued:
        remedies.append("put the language right by hand (review.mode)")
    if 2 * count.cut > count.samples:
        remedies.append("raise cot.max_tokens, which most samples reached")
    reason, _ = max(count.rejected.items(), key=lambda item: (item[1], item[0]))
    if reason in _SETTINGS:
        remedies.append(f"look at {_SETTINGS[reason]}")
    remedies += _next_rungs(settings, has_other)
    return f"mostly {reason}: {', or '.join(remedies)}"


def _next_rungs(settings: CotParams, has_other: bool) -> list[str]:
    """What the ladder lacks: another temperature, another image, more tries."""
    ladder = rungs(settings)
    remedies = []
    if len({rung.temperature for rung in ladder}) == 1:
        remedies.append("add a rung of another temperature to cot.ladder")
    if has_other:
        remedies.append("add a rung of another image to cot.ladder")
    else:
        remedies.append(
            "give the class another image (split.sft_shots, or more images): none is free"
        )
    remedies.append("raise cot.max_attempts")
    return remedies
