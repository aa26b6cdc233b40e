"""What can be wrong with names, as prompts and rewards use them."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator

from finer1.evaluation.answers import normalise
from finer1.inspection.findings import Finding, some

LONGEST_NAME = 100
"""Characters."""

_TAG = re.compile(r"<\|[^|]*\|>|</?[A-Za-z][^<>]*>")
"""A special token (<|im_end|>) or a tag (</think>, <answer>): either would end the answer."""

_NUMBER = re.compile(
    r"(?:class|label|category|cat|id|species|type)?[ _-]*\d+"  # 17, class_17
    r"|n\d{8}"  # WordNet, as in folders of ImageNet
    r"|(?=.*\d)[0-9a-f]{8,}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",  # hashes
    re.IGNORECASE,
)

_UNSEEN_CATEGORIES = ("Cc", "Cs", "Zl", "Zp")
"""Control characters, halves of characters, line and paragraph separators."""

_FORMULA = re.compile(r"\s*(?:[=+@]|-.*[(|!=+*/])")
"""A cell of a CSV file that a table program computes; a minus before a plain word is none."""

_JOINERS = frozenset("\u200c\u200d")
"""Zero-width (non-)joiners: part of the spelling in Persian, in Indic scripts and of emoji."""


def check_names(category: str, names: Iterable[str]) -> Iterator[Finding]:
    """Findings on the sub-categories of one category."""
    labels = sorted(set(names))
    kind, rename = "class name", "rename the class"
    for label in labels:
        why = unusable(label)
        if why is not None:
            what = f"cannot be used as a name: {why}"
            yield Finding("error", kind, f"{category} {label!r}", what, rename)
    for group in collisions(labels):
        what = (
            f"an answer with this name counts as one with {some(_quoted(group[1:]))}: case, "
            "Unicode form, hyphens, spaces, a leading article and a final stop do not count"
        )
        yield Finding("error", kind, f"{category} {group[0]!r}", what, rename)
    ids = [label for label in labels if is_number(label)]
    if ids:
        what = f"{len(ids)} of {len(labels)} names are ids and no words: {some(_quoted(ids))}"
        remedy = "name the classes by words: a model cannot reason about an id"
        yield Finding("warning", kind, category, what, remedy)
    for inner, outer in nested(labels):
        what = f"all of the name stands in {some(_quoted(outer))}"
        remedy = "nothing, or rename one: answers are compared whole, readers may confuse them"
        yield Finding("warning", kind, f"{category} {inner!r}", what, remedy)


def check_words(kind: str, words: Iterable[str]) -> Iterator[Finding]:
    """Errors on categories or groups, which stand in prompts as the sub-categories do."""
    for word in sorted(set(words)):
        if why := unusable(word):
            what, remedy = f"cannot be used as a name: {why}", f"rename the {kind}"
            yield Finding("error", f"{kind} name", f"{kind} {word!r}", what, remedy)


def unusable(label: str) -> str | None:
    """Why the name cannot stand in a prompt or an answer; None when it can."""
    if not label.strip():
        return "it is empty"
    if len(label) > LONGEST_NAME:
        return f"it has {len(label)} characters, more than {LONGEST_NAME}"
    if (hidden := control_character(label)) is not None:
        return f"it holds the control character {hidden}"
    for place, letter in enumerate(label):
        if unicodedata.category(letter) == "Cf" and not _joins(label, place):
            return f"it holds the invisible character U+{ord(letter):04X}"
    if _FORMULA.match(label):
        return f"it begins with {label.lstrip()[0]}, which makes it a formula in a table program"
    tag = _TAG.search(label)
    if tag is not None:
        return f"it holds {tag[0]!r}, a tag or special token"
    return None if name_key(label) else "it is punctuation alone, of which nothing is compared"


def control_character(text: str) -> str | None:
    """The first one, as U+000A; None when there is none."""
    found = (c for c in text if unicodedata.category(c) in _UNSEEN_CATEGORIES)
    return next((f"U+{ord(letter):04X}" for letter in found), None)


def is_number(label: str) -> bool:
    """True for an id instead of a word: 17, class_17, n02085620, a hash."""
    return _NUMBER.fullmatch(label.strip()) is not None


def name_key(label: str) -> str:
    """Equal for names that are one answer, or that differ in characters nobody sees."""
    return normalise("".join(c for c in label if unicodedata.category(c) != "Cf"))


def collisions(labels: Iterable[str]) -> list[list[str]]:
    """Groups of different names with one name_key, each sorted."""
    groups: dict[str, set[str]] = defaultdict(set)
    for label in labels:
        groups[name_key(label)].add(label)
    return [sorted(group) for group in groups.values() if len(group) > 1]


def nested(labels: Iterable[str]) -> list[tuple[str, list[str]]]:
    """(name, the longer names that hold all its words in a row), sorted."""
    words = {label: tuple(re.findall(r"\w+", name_key(label))) for label in labels}
    named: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for label, parts in words.items():
        if parts:
            named[parts].append(label)
    outer: dict[str, set[str]] = defaultdict(set)
    for label, parts in words.items():
        runs = {
            parts[start:end]
            for start in range(len(parts))
            for end in range(start + 1, 1 + len(parts))
        }
        for run in runs - {parts}:
            for inner in named.get(run, ()):
                outer[inner].add(label)
    return [(inner, sorted(outer[inner])) for inner in sorted(outer)]


def _joins(label: str, place: int) -> bool:
    """True for a joiner inside a word that is not of Latin letters."""
    around = (label[place - 1 : place], label[place + 1 : place + 2])
    return label[place] in _JOINERS and all(
        text
        and not text.isspace()
        and "LATIN" not in unicodedata.name(text, "LATIN")
        and not text.isascii()
        for text in around
    )


def _quoted(names: Iterable[str]) -> list[str]:
    return [repr(name) for name in names]
