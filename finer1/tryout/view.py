"""What the page shows of an answer, as HTML; every text of models and data is escaped."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from finer1.evaluation.answers import normalise
from finer1.prompts import SECTIONS, split_options
from finer1.recognition.reading import Recognition
from finer1.recognition.sections import sections_so_far
from finer1.templates import templates

MOST_ROWS = 8
"""Candidates that are shown; of a long list those with votes and those weighed come first."""

TITLES = {
    "analysis": "Visual analysis",
    "options": "Candidate sub-categories",
    "comparison": "Comparison",
    "prediction": "Prediction",
}


@dataclass(frozen=True)
class Told:
    """What is known of one model's answer so far."""

    title: str
    """What the model is called."""
    status: str
    """What is being done; empty at the end."""
    picture: str = ""
    """Data URI of the image."""
    category: str = ""
    raw: str = ""
    found: Recognition | None = None
    """Once the greedy completion is whole."""
    num_votes: int = 0
    """Drawn."""
    calibration: str = ""
    """What was measured about such shares."""
    facts: tuple[str, ...] = ()
    """Seconds, prompt, identity."""
    body: str = ""
    """JSON of the answer, to be copied."""
    error: str = ""


@dataclass(frozen=True)
class Candidate:
    """A row of the table of candidates."""

    name: str
    votes: int
    share: float
    is_answer: bool
    references: tuple[str, ...]
    """Data URIs."""


class View:
    """Renders answers."""

    def __init__(self, references: Callable[[str, str], Sequence[str]]) -> None:
        """references: category, name -> data URIs of images of the sub-category."""
        self._references = lru_cache(1024)(references)
        environment = templates(Path(__file__).parent)
        self._card = environment.get_template("card.html")

    def card(self, told: Told) -> str:
        """One model's answer."""
        found = told.found
        sections = found.sections if found else sections_so_far(told.raw)
        rows, num_more = self._candidates(told)
        return self._card.render(
            told=told,
            sections=[(TITLES[name], sections.get(name)) for name in SECTIONS],
            is_broken=found is not None and not found.sections,
            fault=fault(told.raw) if found else "",
            votes=votes_line(found, told.num_votes) if found else "",
            rows=rows,
            num_more=num_more,
            has_references=any(row.references for row in rows),
        )

    def _candidates(self, told: Told) -> tuple[list[Candidate], int]:
        """The rows that are shown, and how many more there are."""
        found = told.found
        if found is None:
            return [], 0
        weighed = split_options(found.sections["options"]) if found.sections else ()
        answered = () if found.answer is None else (found.answer,)
        names: dict[str, str] = {}
        for name in (*found.votes, *answered, *weighed, *found.candidates):
            names.setdefault(normalise(name), name)
        shares = {normalise(name): share for name, share in found.votes.items()}
        answer = None if found.answer is None else normalise(found.answer)
        rows = [
            Candidate(
                name=name,
                votes=round(shares.get(key, 0.0) * told.num_votes),
                share=shares.get(key, 0.0),
                is_answer=key == answer,
                references=tuple(self._references(told.category, name)),
            )
            for key, name in list(names.items())[:MOST_ROWS]
        ]
        return rows, max(len(names) - MOST_ROWS, 0)


def votes_line(found: Recognition, num_votes: int) -> str:
    """`4 of 5 votes`, and the name that has more where one has; empty without votes."""
    if not num_votes:
        return ""
    best, most = next(iter(found.votes.items()), ("", 0.0))
    own = found.share or 0.0
    text = f"{round(own * num_votes)} of {num_votes} votes"
    if most > own:
        text += f"; {best} has {round(most * num_votes)}"
    return text


def fault(raw: str) -> str:
    """What keeps a completion from being read as four sections; empty when nothing does.

    By the parser of the reward the sections are in the think tags, once each, in order.
    """
    absent = [name for name in SECTIONS if f"<{name}>" not in raw]
    unclosed = [name for name in SECTIONS if name not in absent and f"</{name}>" not in raw]
    parts = []
    if absent:
        parts.append(f"missing: {', '.join(TITLES[name] for name in absent)}")
    if unclosed:
        parts.append(f"without an end: {', '.join(TITLES[name] for name in unclosed)}")
    tags = [tag for tag in ("think", "answer") if f"<{tag}>" not in raw or f"</{tag}>" not in raw]
    if tags:
        parts.append(f"no whole {' and no whole '.join(f'<{tag}>' for tag in tags)}")
    return "; ".join(parts) or "the sections are not once each, in order, and nothing around them"
