"""Is a rationale written in English throughout (Sec. 4.2 of Fine-R1: no mixed languages).

Three looks, cheapest first: letters that are not Latin, function words of other languages, and
py3langid (a naive Bayes model over 140 languages that lies inside the package) on windows of
words, since the usual slip is a sentence, not a whole text.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Any

from finer1.teacher.wording import NAME

_LATIN = ("LATIN ", "MODIFIER LETTER ")
"""What the Unicode name of a letter starts with; the modifiers stand in Hawaiian names."""
_GREEK = re.compile(r"[\u0370-\u03ff\u1f00-\u1fff]+")

# fmt: off
_FOREIGN = frozenset({
    "und", "oder", "eine", "einen", "nicht", "auch", "sind", "wird", "ist",
    "une", "avec", "dans", "sont", "leur", "muy", "pero", "tiene", "unos",
    "della", "sono", "questo", "nella", "uma", "sao", "nao", "seu",
})
# fmt: on
"""Function words of other languages that are neither English nor part of a name; none is in the
404 released rationales. They show slips of two or three words, too short for py3langid."""

_WINDOW = 16
"""Words. Of the analyses and comparisons of the 404 released rationales, all English, 52 of 808
hold a window of 12 words that is given less than one half (lists of names and makes), 4 hold one
of 16. In windows of 20 a sentence of 11 Swedish words among English ones is missed in one of
three cases."""
_MIN_ENGLISH = 0.2
"""Probability of English that each window must have. The least in the released ones is 0.30. A
sentence of 9 to 13 words in ASCII, put anywhere into 101 of them, is found each time in German,
French, Spanish, Italian, Portuguese, Dutch and Indonesian, in 96 % and more in Swedish and Turkish,
in about 70 % in Polish and Vietnamese, which lose most without their accents."""

_BINOMIAL = re.compile(r"\([A-Z][a-z]*\.? [a-z.]+(?: [a-z.]+)?\)")
"""A Latin name in brackets after an English one."""


def find_foreign(text: str) -> str | None:
    """The first words that are not English, or the letters that are not Latin; None without any.

    text: with the names of sub-categories taken out, which may be of any language. Fewer words
    than a window are judged by letters and function words alone: too few to tell.
    """
    if odd := find_odd_letters(text):
        return odd
    for word in re.findall(r"\w+", text.casefold()):
        if word in _FOREIGN:
            return word
    for window in _windows(_words(text)):
        if _probability_of_english(window) < _MIN_ENGLISH:
            return window
    return None


def find_odd_letters(text: str) -> str | None:
    """The letters that are neither Latin nor a Greek one by itself, which is a symbol; None
    without any."""
    text = _GREEK.sub(lambda run: run.group() if len(run.group()) > 1 else "", text)
    # Below U+00C0 are the ASCII letters, the micro sign and two ordinals.
    letters = (letter for letter in text if letter >= "\u00c0" and letter.isalpha())
    odd = [letter for letter in letters if not unicodedata.name(letter, "").startswith(_LATIN)]
    return "".join(odd) or None


def _words(text: str) -> list[str]:
    plain = _BINOMIAL.sub(" ", text.replace(NAME, " "))
    return [word for word in plain.split() if re.search(r"[^\W\d_]", word)]


def _windows(words: list[str]) -> Iterator[str]:
    """Runs of _WINDOW words, each overlapping half of the one before, up to the last word."""
    last = len(words) - _WINDOW
    if last < 0:
        return
    for start in [*range(0, last, _WINDOW // 2), last]:
        yield " ".join(words[start : start + _WINDOW])


def _probability_of_english(text: str) -> float:
    """In [0, 1], over all languages of the model."""
    return float(dict(_identifier().rank(text))["en"])


@cache
def _identifier() -> Any:
    """The model, read once (1.2 s, from the package's own file)."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
