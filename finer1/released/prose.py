"""The four sections of a released rationale, as far as its prose shows them.

The released completions have no section tags. They are prose with headings that vary, around two
literal lines (counts of 404): "The analysis of candidate subcategories:" (400) and "The prediction
is:" (404). In about a quarter the candidates come under their own heading first, and the literal
line opens a summary after the comparison.
"""

import re
from dataclasses import dataclass

from finer1.prompts import OPTIONS_HEADING, PREDICTION_HEADING

_CANDIDATES_HEADING = re.compile(r"^[ #*-]*candidate subcategor[^\n]{0,30}$", re.I | re.M)
_COMPARISON_HEADING = re.compile(
    r"^[ #*]*(?:detailed |visual |key )?(?:compari(?:son|ng)|elimination|differences)\b"
    r"[^\n]{0,40}$",
    re.I | re.M,
)
_FINAL_HEADING = re.compile(r"^[ #*]*final (?:prediction|answer)[^\n]{0,20}$", re.I | re.M)

_NUMBERED = re.compile(r"^ {0,3}(\d+)[.)] +(\S.*)$")
_BULLET = re.compile(r"^ {0,3}[-*] +(\S.*)$")
_NAME_END = re.compile(r":|\s[-\u2013\u2014]\s|\u2014")
_YEAR = re.compile(r"\((\d+)\)")
_BRACKETS = re.compile(r"\s*\([^()]*\)")
_MAX_NAME_WORDS = 7
"""The longest released sub-category has seven words; more is a sentence."""


@dataclass(frozen=True)
class Prose:
    """What was found; empty where it was not."""

    analysis: str
    """What is seen in the image."""
    options: tuple[str, ...]
    """The candidates, in the order considered, without what brackets add to a name."""
    comparison: str
    prediction: str
    """The text after "The prediction is:", often a sentence."""

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of the sections that were not found."""
        return tuple(name for name, value in vars(self).items() if not value)


def read_prose(rationale: str) -> Prose:
    """The sections of the text between the think tags."""
    cut = rationale.rfind(PREDICTION_HEADING)
    body, prediction = rationale, ""
    if cut >= 0:
        body, prediction = rationale[:cut], rationale[cut + len(PREDICTION_HEADING) :]
    literal = body.find(OPTIONS_HEADING)
    heading = _CANDIDATES_HEADING.search(body)
    comparison = _COMPARISON_HEADING.search(body)
    starts = [place for place in (literal, heading.start() if heading else -1) if place >= 0]
    options: tuple[str, ...] = ()
    after = len(body)
    for start in starts:
        names, end = _candidates(body, start)
        if len(names) > len(options):
            options, after = names, end
    final = _FINAL_HEADING.search(body, comparison.end() if comparison else after)
    end = final.start() if final else len(body)
    if comparison:
        start = comparison.end()
        if start < literal < end:
            end = literal
    else:
        start = after
    return Prose(
        analysis=body[: min(starts)].strip(" \n-#*") if starts else "",
        options=options,
        comparison=body[start:end].strip(" \n-#*"),
        prediction=prediction.strip(),
    )


def _candidates(body: str, start: int) -> tuple[tuple[str, ...], int]:
    """The names in the first list after `start`, and where it ends."""
    begin = body.find("\n", start) + 1 or len(body)
    comparison = _COMPARISON_HEADING.search(body, begin)
    text = body[begin : comparison.start() if comparison else len(body)]
    for found in (_listed(text, _NUMBERED), _listed(text, _BULLET), _inline(text)):
        if len(found[0]) > 1:
            return found[0], begin + found[1]
    return (), begin


def _listed(text: str, item: re.Pattern[str]) -> tuple[tuple[str, ...], int]:
    """Names of the first list of its kind, each once: numbers count up, a bullet that repeats a
    name opens the comparison."""
    names: list[str] = []
    place = end = num_items = 0
    for line in text.splitlines(keepends=True):
        place += len(line)
        match = item.match(line)
        if match is None:
            continue
        name = _name(match.groups()[-1])
        is_next = name not in names if item is _BULLET else int(match.group(1)) == num_items + 1
        if not name or not is_next:
            break
        num_items, end = num_items + 1, place
        if name not in names:
            names.append(name)
    return tuple(names), end


def _inline(text: str) -> tuple[tuple[str, ...], int]:
    """Names of a line that separates them by commas; a sentence has none."""
    line = text.lstrip().partition("\n")[0].rstrip()
    if line.endswith("."):
        return (), 0
    names = tuple(_name(part) for part in _BRACKETS.sub("", line).split(","))
    end = text.find(line) + len(line)
    return (names, end) if all(names) else ((), end)


def _name(item: str) -> str:
    """The sub-category that an item starts with; empty when it is a sentence."""
    head = _NAME_END.split(item, maxsplit=1)[0]
    name = _BRACKETS.sub("", _YEAR.sub(r"\1", head)).strip(" *.")
    is_name = 0 < len(name.split()) <= _MAX_NAME_WORDS and " vs" not in name
    return name if is_name else ""
