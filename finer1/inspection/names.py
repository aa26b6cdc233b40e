"""What can be wrong with the names of sub-categories, as prompts and rewards use them."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator

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

_DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Turn the reading direction of what follows; right-to-left scripts need none of them."""


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
        what = f"the same name as {some(_quoted(group[1:]))} but for case, Unicode form or spaces"
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


def unusable(label: str) -> str | None:
    """Why the name cannot stand in a prompt or an answer; None when it can."""
    if not label.strip():
        return "it is empty"
    if len(label) > LONGEST_NAME:
        return f"it has {len(label)} characters, more than {LONGEST_NAME}"
    for letter in label:
        if unicodedata.category(letter) in _UNSEEN_CATEGORIES or letter in _DIRECTIONS:
            return f"it holds the control character U+{ord(letter):04X}"
    tag = _TAG.search(label)
    return None if tag is None else f"it holds {tag[0]!r}, a tag or special token"


def is_number(label: str) -> bool:
    """True for an id instead of a word: 17, class_17, n02085620, a hash."""
    return _NUMBER.fullmatch(label.strip()) is not None


def name_key(label: str) -> str:
    """Equal for names that differ in case, Unicode form or white space alone."""
    folded = unicodedata.normalize("NFC", label).casefold()
    return " ".join(unicodedata.normalize("NFC", folded).split())


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


def _quoted(names: Iterable[str]) -> list[str]:
    return [repr(name) for name in names]
