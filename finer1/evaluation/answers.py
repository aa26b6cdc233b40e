"""Is an answer right: the strict rule, the released rule, and which names an answer holds.

The strict rule is the default of rewards and scores. The released one can be gamed by an answer
that lists candidates, and is ambiguous where one name contains another (petunia, mexican
petunia).
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from finer1.prompts import Completion

_SEPARATORS = re.compile(r"[\s_\-\u2010-\u2015]+")
# Only before white space: the A-10 and the An-12 are aircraft.
_ARTICLE = re.compile(r"(?:a|an|the)\s+")
_LETTER = re.compile(r"[^\W_]")
_FINAL = ".,;:!? "
_BRACKET = re.compile(r"([<>/])")
_OPEN, _CLOSE = "<answer>", "</answer>"
_REMEMBERED = 1 << 13
"""Names whose normal form is kept; each label is asked for thousands of times."""


@lru_cache(_REMEMBERED)
def normalise(text: str) -> str:
    """The form in which names are compared.

    NFKC, casefold; leading articles and final punctuation go; underscores, hyphens and white
    space become one space.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _SEPARATORS.sub(" ", _without_articles(folded)).strip().rstrip(_FINAL)


def _without_articles(text: str) -> str:
    """`text` from behind its leading articles on, as long as a name is left behind them."""
    # No pattern for the whole: it would take quadratic time over white space without a name.
    separators = _SEPARATORS.match(text)
    end = separators.end() if separators else 0
    start = 0
    while (article := _ARTICLE.match(text, end)) and _LETTER.search(text, article.end()):
        start = end = article.end()
    return text[start:]


def is_exact(completion: Completion, label: str) -> bool:
    """True when the one closed answer is the label and nothing else, after normalisation."""
    return completion.answer is not None and normalise(completion.answer) == normalise(label)


def join_brackets(text: str) -> str:
    """`text` without white space around <, > and /, as the released reward reads it."""
    first, *others = _BRACKET.split(text)  # texts and brackets in turn
    if not others:
        return text
    *inner, last = others
    return "".join([first.rstrip(), *(part.strip() for part in inner), last.lstrip()])


def is_included(text: str, label: str) -> bool:
    """True when the first closed answer of completion `text` contains the label (released rule).

    Case-insensitive, otherwise literal; false without a closed answer.
    """
    joined = join_brackets(text)
    start = joined.find(_OPEN)
    end = joined.find(_CLOSE, start)
    return 0 <= start < end and label.lower() in joined[start + len(_OPEN) : end].lower()


def named_labels(answer: str, labels: Sequence[str]) -> tuple[str, ...]:
    """The labels that `answer` names, each once, in the order in which they come.

    The longest label wins where several begin at one place, and names do not overlap: an answer
    `mexican petunia` names that label, not petunia. More than one name is a hedge.
    """
    index = index_names(tuple(labels))
    name = normalise(answer)
    if name in index.by_name:  # most answers; the search over 200 names is slow
        return (index.by_name[name],)
    found = index.pattern.findall(name) if index.pattern else ()
    return tuple(dict.fromkeys(index.by_name[each] for each in found))


def same_name(text: str | None, names: Sequence[str]) -> str | None:
    """The first of `names` that equals `text` after normalisation."""
    if text is None:
        return None
    return next((name for name in names if normalise(name) == normalise(text)), None)


@dataclass(frozen=True)
class NameIndex:
    """The sub-categories of a category, to be looked up and searched for."""

    by_name: Mapping[str, str]
    """Normal form -> label, the first where several share one."""
    pattern: re.Pattern[str] | None
    """Finds names in a normal form, the longest first; None without names."""


@lru_cache(256)
def index_names(labels: tuple[str, ...]) -> NameIndex:
    """The index of the labels; their empty names are left out."""
    by_name: dict[str, str] = {}
    for label in labels:
        by_name.setdefault(normalise(label), label)
    by_name.pop("", None)
    if not by_name:
        return NameIndex(by_name, None)
    longest_first = sorted(by_name, key=lambda name: (-len(name), name))
    pattern = "|".join(map(re.escape, longest_first))
    return NameIndex(by_name, re.compile(rf"(?<!\w)(?:{pattern})(?!\w)"))
