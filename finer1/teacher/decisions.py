"""Human decisions on rationales: which still fit, and what they change."""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist

from finer1.prompts import parse_completion, parse_sections, sections_text, split_options
from finer1.records import Decision, Queued, Rationale
from finer1.teacher.filters import has_bad_count, repeats_option, skips_option

REJECT_REASONS = {
    "not_in_image": "describes what the image does not show",
    "untrue": "says something untrue of a sub-category",
    "options": "options that nobody would confuse",
    "language": "not English, or hard to read",
    "leak": "speaks of a text that it was given",
    "image": "unusable or mislabelled image",
    "other": "something else",
}
"""Key in the decisions -> what the page says."""

TextKey = tuple[str, str]
"""Rationale.id and the hash of its content: what a decision is about."""


@dataclass(frozen=True)
class Counts:
    """Fates of some rationales."""

    accepted: int
    edited: int
    rejected: int
    undecided: int


@dataclass(frozen=True)
class Reviewed:
    """The rationales after the decisions."""

    rationales: list[Rationale]
    filtered: Counts
    """Of those that passed all filters; undecided ones pass."""
    queued: Counts
    """Of those in the queue; undecided ones do not pass."""
    reasons: Counter[str]
    """Key of REJECT_REASONS -> rejected rationales, of both kinds; one may have several."""
    stale: list[str]
    """Rationales whose standing decisions are all about a text that is no longer there; these
    change nothing."""


@dataclass(frozen=True)
class Rate:
    """A share with its interval."""

    value: float
    low: float
    high: float


def rationale_hash(rationale: Rationale) -> str:
    """Hex SHA-256 of all fields, which a decision quotes as what was judged."""
    content = json.dumps(asdict(rationale), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(content.encode()).hexdigest()


def text_key(rationale: Rationale) -> TextKey:
    """What a decision on this very text quotes."""
    return rationale.id, rationale_hash(rationale)


def without_undone(decisions: Iterable[Decision]) -> list[Decision]:
    """The decisions in order, less those that were taken back: an `undo` is about the same
    reviewer's last one on the same text."""
    left: list[Decision] = []
    for decision in decisions:
        if decision.verdict != "undo":
            left.append(decision)
            continue
        about = (decision.reviewer, decision.id, decision.sha256)
        for place in reversed(range(len(left))):
            if (left[place].reviewer, left[place].id, left[place].sha256) == about:
                del left[place]
                break
    return left


def standing_decisions(decisions: Iterable[Decision]) -> dict[TextKey, Decision]:
    """The decision that counts on each text: the last one that was not taken back."""
    return {(item.id, item.sha256): item for item in without_undone(decisions)}


def apply_decisions(
    rationales: Sequence[Rationale],
    queued: Sequence[Queued],
    decisions: Iterable[Decision],
    max_options: int,
) -> Reviewed:
    """Accept, reject or replace; queued rationales that pass come after the others.

    max_options: of an edit.

    Raises ValueError for an edit that does not fit (check_edit), and when two texts for the same
    image are accepted.
    """
    standing = standing_decisions(decisions)
    waiting = [row.rationale for row in queued]
    at_hand = {text_key(row): row for row in (*rationales, *waiting)}
    fitting = {key: decision for key, decision in standing.items() if key in at_hand}
    judged = {name for name, _ in fitting}
    kept = _kept(rationales, fitting, max_options, passes=True)
    kept += _kept(waiting, fitting, max_options, passes=False)
    twice = [name for name, count in Counter(row.id for row in kept).items() if count > 1]
    if twice:
        raise ValueError(f"{twice[0]} would be trained on twice; reject all but one of its texts")
    rejects = [item for item in fitting.values() if item.verdict == "reject"]
    return Reviewed(
        rationales=kept,
        filtered=_count(rationales, fitting),
        queued=_count(waiting, fitting),
        reasons=Counter(reason for item in rejects for reason in _known_reasons(item)),
        stale=list(dict.fromkeys(name for name, _ in standing if name not in judged)),
    )


def check_edit(rationale: Rationale, edited: Rationale, max_options: int) -> None:
    """Raise ValueError unless the edited text may be trained on in place of `rationale`.

    Sections must fit as the filters ask it; released prose must be well-formed and answer the
    label, since its sections are not always found.
    """
    where = f"decision on {rationale.id}"
    for name in ("id", "image_id", "category", "label", "question"):
        if getattr(edited, name) != getattr(rationale, name):
            raise ValueError(f"{where}: an edit must not change `{name}`")
    if edited.completion is None:
        _check_sections(edited, max_options, where)
    elif rationale.completion in (None, edited.completion):
        raise ValueError(
            f"{where}: set `completion` to null in `edited`, or the old text would be trained on "
            "instead of the edited sections"
        )
    else:
        parsed = parse_completion(edited.completion)
        if not parsed.is_tagged or parsed.answer != edited.label:
            raise ValueError(
                f"{where}: the edited completion must be <think>...</think><answer>"
                f"{edited.label}</answer>, with no other tag of these"
            )


def wilson_interval(successes: int, trials: int, confidence: float) -> Rate:
    """A share and its score interval (Wilson 1927), which holds for few trials and shares near 0
    and 1 too. Raises ValueError without a trial."""
    if not trials:
        raise ValueError("a share needs at least one trial")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / trials
    centre = share + z * z / (2 * trials)
    half = z * math.sqrt(share * (1 - share) / trials + (z / (2 * trials)) ** 2)
    scale = 1 + z * z / trials
    low, high = (centre - half) / scale, (centre + half) / scale
    return Rate(share, min(max(low, 0.0), share), max(min(high, 1.0), share))


def _known_reasons(decision: Decision) -> set[str]:
    """Reasons, each once; one that somebody wrote by hand counts as `other`."""
    return {reason if reason in REJECT_REASONS else "other" for reason in decision.reasons}


def _kept(
    rationales: Sequence[Rationale],
    fitting: Mapping[TextKey, Decision],
    max_options: int,
    passes: bool,
) -> list[Rationale]:
    """What is trained on; passes: whether rationales without a decision are."""
    kept = []
    for rationale in rationales:
        decision = fitting.get(text_key(rationale))
        if decision.verdict == "accept" if decision else passes:
            kept.append(rationale)
        elif decision and decision.verdict == "edit":
            kept.append(_edited(rationale, decision, max_options))
    return kept


def _edited(rationale: Rationale, decision: Decision, max_options: int) -> Rationale:
    if decision.edited is None:
        raise ValueError(f"decision on {decision.id}: an edit needs the field `edited`")
    check_edit(rationale, decision.edited, max_options)
    return decision.edited


def _check_sections(edited: Rationale, max_options: int, where: str) -> None:
    if edited.prediction != edited.label or edited.label not in edited.options:
        raise ValueError(
            f"{where}: the edited text must predict {edited.label} and have it among its options"
        )
    if repeats_option(edited.options):
        raise ValueError(f"{where}: an option of the edited text comes twice")
    text = sections_text(edited.analysis, edited.options, edited.comparison, edited.prediction)
    sections = parse_sections(text)
    if not sections or not all(sections.values()):
        raise ValueError(f"{where}: a section of the edited text is empty or holds a section's tag")
    if split_options(sections["options"]) != edited.options:
        raise ValueError(f"{where}: an option of the edited text holds a comma or a semicolon")
    if has_bad_count(edited.options, max_options):
        raise ValueError(
            f"{where}: the edited text needs 2 to {max_options} options (cot.max_options)"
        )
    if skips_option(edited.options, edited.comparison):
        raise ValueError(f"{where}: the comparison of the edited text must mention every option")


def _count(rationales: Sequence[Rationale], fitting: Mapping[TextKey, Decision]) -> Counts:
    keys = {text_key(row) for row in rationales}
    verdicts = Counter(fitting[key].verdict for key in keys if key in fitting)
    return Counts(
        accepted=verdicts["accept"],
        edited=verdicts["edit"],
        rejected=verdicts["reject"],
        undecided=len(keys) - verdicts.total(),
    )
