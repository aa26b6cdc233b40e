"""Which of the teacher's rationales may train a policy (Sec. 4.2 and Table 5 of Fine-R1).

The paper's four checks (sections, label among the options, prediction equals the label, one
language), and those that the 404 released rationales show to be needed: 101 to 250 of them talk
about a text that only the teacher was given.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from finer1.data_params import CotParams
from finer1.prompts import SECTIONS, parse_sections, split_options


@dataclass(frozen=True)
class Draft:
    """A teacher's answer that has the four sections, with what it is checked against."""

    sections: dict[str, str]
    options: tuple[str, ...]
    label: str
    known: frozenset[str]
    """All sub-categories of the category."""

    @property
    def text(self) -> str:
        """All that the teacher wrote, without the tags."""
        return "\n".join(self.sections[name] for name in SECTIONS)


@dataclass(frozen=True)
class Judgement:
    """A draft that passed, or the reason why there is none."""

    draft: Draft | None
    reason: str | None


def judge(text: str, label: str, known: frozenset[str], settings: CotParams) -> Judgement:
    """Run the filters over one answer of the teacher, cheapest first; the first to fail names
    the reason (one of REASONS)."""
    sections = parse_sections(text)
    if not sections:
        return Judgement(None, "format")
    draft = Draft(sections, split_options(sections["options"]), label, known)
    for reason, is_bad in _FILTERS.items():
        if is_bad(draft, settings):
            return Judgement(None, reason)
    return Judgement(draft, None)


def _has_bad_count(draft: Draft, settings: CotParams) -> bool:
    return not 2 <= len(draft.options) <= settings.max_options


def _repeats_option(draft: Draft, _: CotParams) -> bool:
    return len({option.casefold() for option in draft.options}) < len(draft.options)


def _has_unknown_option(draft: Draft, _: CotParams) -> bool:
    return not draft.known.issuperset(draft.options)


def _lacks_label(draft: Draft, _: CotParams) -> bool:
    return draft.label not in draft.options


def _predicts_other(draft: Draft, _: CotParams) -> bool:
    return draft.sections["prediction"] != draft.label


def _skips_option(draft: Draft, _: CotParams) -> bool:
    """An option that the comparison does not mention; within a longer name does not count."""
    text = draft.sections["comparison"].casefold()
    for option in sorted(draft.options, key=len, reverse=True):
        found = re.subn(rf"(?<!\w){re.escape(option.casefold())}(?!\w)", " ", text)
        if not found[1]:
            return True
        text = found[0]
    return False


# fmt: off
_FOREIGN = frozenset({
    "und", "oder", "eine", "einen", "nicht", "auch", "sind", "wird", "ist",
    "une", "avec", "dans", "sont", "leur", "muy", "pero", "tiene", "unos",
    "della", "sono", "questo", "nella", "uma", "sao", "nao", "seu",
})
# fmt: on
"""Function words of other languages that are neither English nor part of a name."""

_MIN_LATIN = 0.99
"""Share of the letters. The usual slip is a few Han characters in an English text."""


def _is_mixed(draft: Draft, _: CotParams) -> bool:
    text = draft.text
    for option in sorted(draft.options, key=len, reverse=True):
        text = text.replace(option, " ")  # a name may be foreign
    letters = [letter for letter in text if letter.isalpha()]
    latin = sum(letter < "\u0250" for letter in letters)
    if latin < _MIN_LATIN * len(letters):
        return True
    return not _FOREIGN.isdisjoint(re.findall(r"\w+", text.casefold()))


_GIVEN = r"(?:given|provided|listed|supplied|mentioned)"
_SOURCE = r"(?:descriptions?|text|captions?|features?|concepts?|labels?|information|hints?)"
_LEAKS = re.compile(
    rf"\bthe (?:{_GIVEN} )?(?:description|text|caption|label|ground[- ]truth|instructions?)\b"
    rf"|\b{_GIVEN} (?:visual |key )?{_SOURCE}\b"
    rf"|\b{_SOURCE} (?:that (?:were|are) |you |was |were |are )?{_GIVEN}\b"
    r"|\b(?:as|was|were) (?:described|stated|specified) (?:above|in the)\b"
    r"|\bthese instructions\b|\benclosed tags?\b|\bthe (?:user|prompt)\b|\bground[- ]truth\b",
    re.IGNORECASE,
)


def _leaks(draft: Draft, _: CotParams) -> bool:
    return _LEAKS.search(draft.text) is not None


_REFUSALS = re.compile(
    r"\bas an ai\b|\bi(?:'m| am) (?:sorry|unable)\b|\bi (?:can(?:no|')t|could not|couldn't) "
    r"(?:see|view|identify|determine|help|assist|access)\b"
    r"|\bno image (?:is|was|has been) (?:\w+ )?(?:attached|given|provided|visible|shown)\b"
    r"|\bwithout (?:the|an) image\b|\bimage is (?:missing|not (?:attached|provided))\b",
    re.IGNORECASE,
)


def _refuses(draft: Draft, _: CotParams) -> bool:
    return _REFUSALS.search(draft.text.replace("\u2019", "'")) is not None


def _has_bad_length(draft: Draft, settings: CotParams) -> bool:
    return not settings.min_words <= len(draft.text.split()) <= settings.max_words


_FILTERS: dict[str, Callable[[Draft, CotParams], bool]] = {
    "option_count": _has_bad_count,
    "option_repeated": _repeats_option,
    "option_unknown": _has_unknown_option,
    "label_not_an_option": _lacks_label,
    "prediction": _predicts_other,
    "comparison": _skips_option,
    "language": _is_mixed,
    "leak": _leaks,
    "refusal": _refuses,
    "length": _has_bad_length,
}

REASONS = ("format", *_FILTERS)
"""Why a rationale is rejected, in the order of the checks."""
