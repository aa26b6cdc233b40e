"""A finding about a dataset, and findings as text."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

SHOWN_WARNINGS = 10
"""Warnings of one kind that are printed; errors are printed all."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong (error) or worth a look (warning)."""

    level: Literal["error", "warning"]
    kind: str
    """unreadable, odd image, too few images, no test image, class name, duplicate,
    near-duplicate, class sizes."""
    where: str
    """File and row, or the class."""
    what: str
    remedy: str
    """What to do about it."""


def describe(findings: Sequence[Finding]) -> str:
    """A line per finding, `where: what; remedy`, errors first; at most so many warnings a kind."""
    ordered = sorted(findings, key=lambda finding: finding.level)  # stable: error < warning
    left = Counter(finding.kind for finding in findings if finding.level == "warning")
    shown: Counter[str] = Counter()
    lines = []
    for finding in ordered:
        if finding.level == "warning":
            shown[finding.kind] += 1
            if shown[finding.kind] > SHOWN_WARNINGS:
                continue
        lines.append(f"{finding.level}: {finding.where}: {finding.what}; {finding.remedy}")
    lines += [
        f"warning: {kind}: {count - SHOWN_WARNINGS} more like these"
        for kind, count in left.items()
        if count > SHOWN_WARNINGS
    ]
    return "\n".join(lines)


def some(places: Sequence[str], most: int = 3) -> str:
    """The first places, and how many more there are."""
    rest = f" and {len(places) - most} more" if len(places) > most else ""
    return ", ".join(places[:most]) + rest
