"""What the images of a run are, and what was found on looking at them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

EXAMPLES = 4
"""Findings of one kind that the page shows in words."""


@dataclass(frozen=True)
class DatasetRow:
    """One dataset of the run."""

    name: str
    images: int
    classes: int
    sides: tuple[tuple[str, int], ...]
    """(side of the dataset's own split, images)."""
    unreadable: int
    notes: tuple[str, ...]
    """Accepted differences from the published dataset."""
    findings: tuple[tuple[str, int, tuple[str, ...]], ...]
    """(kind, how many, the first in words), errors that were allowed first."""


def collect_data(audit: Mapping[str, Mapping[str, Any]]) -> list[DatasetRow]:
    """A row per dataset; audit: the content of paths.audit."""
    return [
        DatasetRow(
            name=name,
            images=found["images"],
            classes=found["classes"],
            sides=tuple(found["sides"].items()),
            unreadable=found["unreadable"],
            notes=tuple(found["notes"]),
            findings=_by_kind(found["findings"]),
        )
        for name, found in audit.items()
    ]


def _by_kind(findings: Sequence[Mapping[str, str]]) -> tuple[tuple[str, int, tuple[str, ...]], ...]:
    kinds: dict[str, list[str]] = {}
    for found in findings:
        words = f"{found['where']}: {found['what']}"
        kinds.setdefault(f"{found['kind']} ({found['level']})", []).append(words)
    return tuple((kind, len(words), tuple(words[:EXAMPLES])) for kind, words in kinds.items())
