"""What every form of question set is read into."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from finer1.draws import draw
from finer1.inspection.findings import shown

Kind = Literal["open", "closed", "describe"]
"""open: name what is shown. closed: choose among options. describe: write what is shown."""

KINDS: tuple[Kind, ...] = ("open", "closed", "describe")

OTHER_CATEGORY = "object"
"""Word of a row that has none, for questions and for Eq. 5."""

MAX_FINDINGS = 20
"""Bad rows named, at most."""


@dataclass(frozen=True)
class SetQuestion:
    """One question of a set."""

    id: str
    """Unique in the set."""
    where: str
    """File and row, for messages."""
    kind: Kind
    images: tuple[str, ...]
    """Names, in the order shown; mostly one."""
    text: str
    """The question, without options."""
    options: tuple[str, ...]
    """As the set has them; none unless closed."""
    references: tuple[str, ...]
    """Right answers, the set's first one first; of describe, captions."""
    category: str
    """Word for the super-category."""


@dataclass(frozen=True)
class QuestionSet:
    """The questions, and where their images come from."""

    name: str
    questions: tuple[SetQuestion, ...]
    read_bytes: Callable[[str], bytes]
    """The file of an image by its name; several threads may call it. Raises ValueError with what
    is wrong about the name, or OSError."""
    notes: tuple[str, ...] = ()
    """What was taken how, a sentence each, for the user."""

    def limited(self, count: int | None, seed: int) -> "QuestionSet":
        """At most `count` of the questions, drawn by seed, in the order of the set; None for all.

        Drawn, since the first ones of a set are often of one class.
        """
        if count is None or count >= len(self.questions):
            return self
        ranked = sorted(self.questions, key=lambda item: draw(seed, "set question", item.id))
        kept = {item.id for item in ranked[:count]}
        return replace(self, questions=tuple(item for item in self.questions if item.id in kept))


def refuse(findings: Sequence[str]) -> None:
    """Raise ValueError with up to MAX_FINDINGS of the findings, a line each; nothing when none."""
    lines = [shown(finding) for finding in findings[:MAX_FINDINGS]]
    if len(findings) > MAX_FINDINGS:
        lines.append(f"... and {len(findings) - MAX_FINDINGS} more like these")
    if lines:
        raise ValueError("\n".join(lines))


def check_ids(questions: Sequence[SetQuestion]) -> list[str]:
    """A finding for each question whose id another one has."""
    first: dict[str, str] = {}
    return [
        f"{item.where}: the id {item.id!r} is that of {first[item.id]}; make them differ"
        for item in questions
        if first.setdefault(item.id, item.where) != item.where
    ]
