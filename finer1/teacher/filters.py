"""Which of the teacher's rationales may train a policy (Sec. 4.2 and Table 5 of Fine-R1).

The paper's four checks (sections, label among the options, prediction equals the label, one
language), and those that the 404 released rationales show to be needed: six in ten of them talk
about a text that only the teacher was given. How many fall, and why: docs/rationales.md.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from finer1.data_params import CotParams
from finer1.prompts import SECTIONS, parse_sections, split_options
from finer1.teacher.language import find_foreign, find_odd_letters
from finer1.teacher.wording import find_leak, find_refusal, find_residue, take_names_out


@dataclass(frozen=True)
class Draft:
    """A teacher's answer that has the four sections, with what it is checked against."""

    sections: dict[str, str]
    options: tuple[str, ...]
    label: str
    known: frozenset[str]
    """All sub-categories of the category."""
    barred: frozenset[str]
    """Names that are no sub-category of this category, whatever a teacher says."""

    @property
    def text(self) -> str:
        """All that the teacher wrote, without the tags."""
        return "\n".join(self.sections[name] for name in SECTIONS)

    @cached_property
    def wording(self) -> str:
        """The text without the names at hand, which may be foreign or hold any word.

        An option that is no known sub-category stays: whatever it says is the teacher's.
        """
        known = {name.casefold() for name in self.known}
        names = {option for option in self.options if option.casefold() in known}
        return take_names_out(self.text, {*names, self.label})


@dataclass(frozen=True)
class Judgement:
    """A draft that passed, or the reason why there is none."""

    draft: Draft | None
    reason: str | None


def judge(
    text: str,
    label: str,
    known: frozenset[str],
    settings: CotParams,
    barred: frozenset[str] = frozenset(),
) -> Judgement:
    """Run the filters over one answer of the teacher, cheapest first; the first to fail names
    the reason (one of REASONS). Arguments as in `failures`."""
    draft = _read(text, label, known, barred)
    if draft is None:
        return Judgement(None, FORMAT)
    reason = next(_failing(draft, settings), None)
    return Judgement(draft if reason is None else None, reason)


def failures(
    text: str,
    label: str,
    known: frozenset[str],
    settings: CotParams,
    barred: frozenset[str] = frozenset(),
) -> tuple[str, ...]:
    """All reasons (of REASONS) why an answer of the teacher may not train; empty when it may.

    text: the four sections in tags, as parse_sections reads them; `format` stands alone, since
    there is nothing else to check then. known: all sub-categories of the category. barred: for
    `cot.options: any`, the names that barred_options gives.
    """
    draft = _read(text, label, known, barred)
    return (FORMAT,) if draft is None else tuple(_failing(draft, settings))


def barred_options(category: str, labels: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """What is no sub-category of `category`: the categories' own words, and the sub-categories
    of the other ones.

    labels: category -> all its sub-categories.
    """
    others = {name for other, names in labels.items() if other != category for name in names}
    return frozenset({*labels, *others} - {*labels[category]})


def _read(text: str, label: str, known: frozenset[str], barred: frozenset[str]) -> Draft | None:
    sections = parse_sections(text)
    if not sections:
        return None
    return Draft(sections, split_options(sections["options"]), label, known, barred)


def _failing(draft: Draft, settings: CotParams) -> Iterator[str]:
    return (reason for reason, is_bad in _FILTERS.items() if is_bad(draft, settings))


def has_bad_count(options: Sequence[str], max_options: int) -> bool:
    """Too few options to compare, or too many."""
    return not 2 <= len(options) <= max_options


def repeats_option(options: Sequence[str]) -> bool:
    """An option comes twice, whatever the case."""
    return len({option.casefold() for option in options}) < len(options)


def skips_option(options: Sequence[str], comparison: str) -> bool:
    """An option that the comparison does not mention; within a longer name does not count."""
    text = " ".join(comparison.casefold().split())
    for option in sorted(options, key=len, reverse=True):
        name = " ".join(option.casefold().split())
        text, num_found = re.subn(rf"(?<!\w){re.escape(name)}(?!\w)", " ", text)
        if not num_found:
            return True
    return False


def _has_bad_count(draft: Draft, settings: CotParams) -> bool:
    return has_bad_count(draft.options, settings.max_options)


def _repeats_option(draft: Draft, _: CotParams) -> bool:
    return repeats_option(draft.options)


def _has_unknown_option(draft: Draft, settings: CotParams) -> bool:
    if settings.options == "known":
        return not draft.known.issuperset(draft.options)
    barred = {name.casefold() for name in draft.barred}
    return any(option.casefold() in barred for option in draft.options)


def _lacks_label(draft: Draft, _: CotParams) -> bool:
    return draft.label not in draft.options


def _predicts_other(draft: Draft, _: CotParams) -> bool:
    return draft.sections["prediction"] != draft.label


def _has_bad_length(draft: Draft, settings: CotParams) -> bool:
    return not settings.min_words <= len(draft.text.split()) <= settings.max_words


def _skips_option(draft: Draft, _: CotParams) -> bool:
    return skips_option(draft.options, draft.sections["comparison"])


def _refuses(draft: Draft, _: CotParams) -> bool:
    return find_refusal(draft.wording) is not None


def _has_residue(draft: Draft, _: CotParams) -> bool:
    return find_residue(draft.wording) is not None


def _leaks(draft: Draft, _: CotParams) -> bool:
    return find_leak(draft.wording) is not None


def _is_mixed(draft: Draft, _: CotParams) -> bool:
    # Lists of names pass for no language: with names that are not known left in, 81 of the 404
    # released rationales would fall. Their letters must be Latin all the same.
    bare = take_names_out(draft.text, {*draft.options, draft.label})
    return find_odd_letters(draft.wording) is not None or find_foreign(bare) is not None


FORMAT = "format"

# Cheapest first, measured on 535 words: what only looks at names and lengths takes microseconds.
# The language is last: what falls by it fails on nothing else.
_FILTERS: dict[str, Callable[[Draft, CotParams], bool]] = {
    "option_count": _has_bad_count,
    "label_not_an_option": _lacks_label,
    "prediction": _predicts_other,
    "option_unknown": _has_unknown_option,
    "option_repeated": _repeats_option,
    "length": _has_bad_length,
    "comparison": _skips_option,
    "refusal": _refuses,
    "residue": _has_residue,
    "leak": _leaks,
    "language": _is_mixed,
}

REASONS = (FORMAT, *_FILTERS)
"""Why a rationale is rejected, in the order of the checks."""
