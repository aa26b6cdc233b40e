"""Which of the choices A to D an answer names, or none: never a guess.

An answer that cannot be read counts as wrong and is counted on its own. The script that came with
ImageWikiQA draws a letter then, and takes a choice whose text occurs somewhere in a long answer.
"""

import re
from collections.abc import Sequence

from finer1.evaluation.answers import normalise

LETTERS = "ABCD"
_ELEMENT = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_ALONE = re.compile(r"(?:(?:option|choice|answer)\s+)?\(?([A-D])[).:]{0,2}", re.IGNORECASE)
# A letter and a full stop before another single letter are an abbreviation: A.I., D.J.
_STOP = r"\.(?!\w\b)"
_LEADING = re.compile(rf"(?:\(([A-D])\)|([A-D])(?:{_STOP}|[):]))\s*(?=\S)")
_MARKED = re.compile(r"(?<![\w.])(?:\(([A-D])\)|([A-D])[.):])(?=\s|\Z)")
# A word after the letter makes it an article or a name: "the answer is A dog", "C major"; another
# letter makes it a list: "the answer is A, B or C".
_SAID = re.compile(
    r"\b(?i:answer|option|choice)(?:\s+is\s*:?|\s*:)\s+\(?([A-D])"
    r"(?!\)?\s*(?:,|/|&|\bor\b|\band\b)\s*(?:or\b|and\b)?\s*\(?[A-D]\b)"
    rf"(?:\)|(?={_STOP}|[,;:!]|\s*\n|\s*\Z|\s+(?:because|since|as)\b))"
)
_EMPHASIS = re.compile(r"[*`]")


def read_letter(completion: str, choices: Sequence[str]) -> str | None:
    """The letter that the completion answers with; None when it names none or several.

    choices: texts of A, B, C, D. Of a completion with reasoning, what follows it is the answer, of
    one with an answer element its content; several elements are none.
    """
    answer = _answer(completion)
    if answer is None:
        return None
    text = _EMPHASIS.sub("", answer).strip()
    if alone := _ALONE.fullmatch(text):
        return alone[1].upper()
    letters = {match[1] for match in _SAID.finditer(text)}
    if leading := _LEADING.match(text):
        letters.add(leading[1] or leading[2])
        letters |= {match[1] or match[2] for match in _MARKED.finditer(text)}
    if letters:
        return letters.pop() if len(letters) == 1 else None
    same = [
        letter
        for letter, choice in zip(LETTERS, choices, strict=True)
        if normalise(choice) == normalise(text)
    ]
    return same[0] if len(same) == 1 else None


def _answer(completion: str) -> str | None:
    elements = _ELEMENT.findall(completion)
    if elements:
        return elements[0] if len(elements) == 1 else None
    _, closed, after = completion.rpartition("</think>")
    if closed:
        return after
    return None if "<think>" in after else after  # cut off while it reasoned
