"""What a rationale must not talk about: the teacher's input, the form of its answer, its limits.

A policy sees an image and a question. A rationale that leans on a description, on "the features
provided" or on what "is mentioned" teaches it to reason from a text that is not there; one that
says that the image shows something else teaches it to overrule its eyes. The patterns were
written while reading the 404 released rationales (docs/rationales.md has the counts). Each of
them works on a text whose names of sub-categories are replaced by NAME.
"""

import re
from collections.abc import Iterable

NAME = "@"
"""Stands for a sub-category that was taken out."""


def take_names_out(text: str, names: Iterable[str]) -> str:
    """The text with each name, also in the plural and whatever the case, replaced by NAME."""
    longest_first = sorted({name for name in names if name}, key=lambda name: (-len(name), name))
    if not longest_first:
        return text
    some = "|".join(re.escape(name) for name in longest_first)
    return re.sub(rf"(?<!\w)(?:{some})(?:e?s)?(?!\w)", NAME, text, flags=re.IGNORECASE)


def find_leak(text: str) -> str | None:
    """The first words that point at what only the teacher was given; None without any."""
    return _first(_LEAK, text)


def find_residue(text: str) -> str | None:
    """The first words that belong to the prompt or to a chat, not to the reasoning."""
    return _first(_RESIDUE, text)


def find_refusal(text: str) -> str | None:
    """The first words that refuse the task, or deny that the image shows what is asked for."""
    return _first(_REFUSAL, text)


def _first(pattern: re.Pattern[str], text: str) -> str | None:
    found = pattern.search(text.replace("\u2019", "'"))
    return found.group() if found else None


def _any_of(*patterns: str) -> re.Pattern[str]:
    # Any white space stands where a pattern has a blank.
    return re.compile("|".join(patterns).replace(" ", r"\s+"), re.IGNORECASE | re.MULTILINE)


_MATTER = (
    r"(?:descriptions?|text|captions?|features?|traits?|characteristics|attributes?|details?"
    r"|concepts?|labels?|information|hints?|context|years?|(?:size|weight|colou?r)s? range"
    r"|heights?|period|habitat|model|colou?rs?|package)"
)
_KIND = r"(?:(?:visual|visible|key|specific|distinctive|background|contextual|additional) )?"
_ADVERB = r"(?:(?:also|already|\w+ly) )?"

_LEAK = _any_of(
    # "the description", though not "the description of a Fish Crow": what is known of the name.
    rf"\bthe (?:\w+ ){{0,2}}?descriptions?\b(?! of (?:an? |the )?(?:\w+ ){{0,2}}{NAME})",
    r"\bdescriptions? (?:was |were |you )?(?:given|provided|mentions?|states?|says|notes?)\b",
    r"\bimage and (?:the )?(?:\w+ )?description\b",
    r"\bas described\b(?! (?:above|earlier|before|in the (?:analysis|comparison))\b)",
    rf"\b(?:provided|supplied) {_KIND}{_MATTER}\b",
    rf"\b(?:the|all|any|this|these|other|every) (?:given|listed|mentioned) {_KIND}{_MATTER}\b",
    rf"\b{_MATTER} (?:that |which )?(?:is |are |was |were |you )?{_ADVERB}(?:provided|supplied)\b"
    r"(?! by )",
    rf"\b{_MATTER} (?:that |which )?(?:is |are |was |were |you )?{_ADVERB}(?:listed|mentioned)\b"
    r"(?! (?:above|earlier|before|here)\b)",
    rf"\b{_MATTER} (?:(?:that |which )?(?:is|are|was|were)|you(?:'ve| have)?) {_ADVERB}given\b",
    rf"\b{_MATTER} given (?:in|to|at|by|here|above)\b",
    r"\b(?:is|are|was|were|but|not) (?:also |explicitly |specifically )*mentioned\b"
    r"(?! (?:above|earlier|before|here)\b)",
    r"\b(?:is|are|was|were) described as\b",
    r"\bas (?:\w+ly )?(?:stated|specified|mentioned|indicated|noted|given|implied)"
    r" (?:in|by) the (?:question|context|provided|given|initial|original|list|input)\b",
    r"\bthe (?:\w+ )?question (?:itself |also )?(?:asks|specif\w+|states|mentions|describes|says"
    r"|provided|given|implies|indicates|gives|seems|appears|refers|hints)\b",
    r"\b(?:in|by|from|with) the question\b",
    r"\bthe (?:\w+ )?text (?:also )?(?:mentions|says|states|describes|notes)\b",
    r"\bthe text (?:above|provided|given)\b",
    r"\bthe (?:initial|given|provided|input|original|above|accompanying) text\b",
    r"\b(?:in|from|by|to) the text\b(?! (?:on|that|along|written|printed|visible|reading)\b)",
    r"\bthe (?:given |provided |correct |true |listed )?label\b(?! (?:on|of) )",
    r"\bthe (?:\w+ )?captions?\b(?! on )",
    r"\bthe (?:\w+ )?concepts\b",
    r"\bground(?:-| )truth\b",
    r"\byou(?:'ve| have)? (?:gave|given|provided|listed|mentioned|described|attached|supplied)\b",
    r"\byour (?:message|description|question|list|request|caption|text)\b",
)

_RESIDUE = _any_of(
    r"\benclosed tags?\b",
    r"\\boxed|\\text\{|\$\$",
    r"\b(?:these|the|your) instructions?\b",
    r"\bthe (?:\w+ )?(?:user|prompt|assistant)\b",
    r"\bas (?:requested|instructed)\b",
    r"\bstructured (?:response|answer|format)\b",
    r"^[\s#*]*(?:label|concepts|question|image):",
    r"<\|?/?\w+\|?>",
    r"\bi hope this helps\b|\blet me know if\b",
)

_SUBJECT = (
    r"(?:image|photo\w*|picture|airplane|aircraft|plane|bird|car|vehicle|dog|cat|flower|plant)"
)

_REFUSAL = _any_of(
    r"\bas an ai\b",
    r"\bi(?:'m| am) (?:sorry|unable|not able)\b",
    r"\bi (?:cannot|can't|can not|could not|couldn't) (?:\w+ly )?(?:see|view|identify|determine"
    r"|help|assist|access|analy[sz]e|provide)\b",
    rf"\bno {_SUBJECT} (?:(?:is|was|were|has been) )?(?:\w+ )?"
    r"(?:attached|given|provided|visible|shown|present)\b",
    rf"\bthere is no {_SUBJECT} (?:\w+ )?(?:in|to) (?:the|this)\b",
    r"\bwithout (?:the|an) (?:actual )?image\b",
    r"\b(?:image|photo|picture) (?:is )?(?:missing|not (?:attached|provided))\b",
    r"\b(?:image|photo|picture) (?:provided )?does(?: not|n't) (?:actually )?"
    rf"(?:depict|show|contain) (?:an?|any) {_SUBJECT}\b",
    rf"\b(?:image|photo|picture) (?:provided )?is not (?:of )?an? {_SUBJECT}\b",
    r"\b(?:image|photo|picture) (?:provided )?does(?: not|n't) match the (?:context|question)\b",
    r"\b(?:impossible|not possible) to (?:identify|analy[sz]e"
    r"|determine (?:the |its )?(?:name|type|species|breed|model))\b",
    r"\bmisaligned with the image\b|\bif (?:the|an) image were\b",
)
