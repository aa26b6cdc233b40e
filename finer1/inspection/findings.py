"""A finding about a dataset, and findings as text."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from finer1.data_params import DownloadParams

_LONGEST_SHOWN = 4096
"""Characters, as many as a path can have."""
SHOWN_WARNINGS = 10
"""Warnings of one kind that are printed; errors are printed all."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong (error) or worth a look (warning)."""

    level: Literal["error", "warning"]
    kind: str
    """Of images: unreadable, changed, odd image, duplicate, near-duplicate. Of classes: too few
    images, no test image, class name, category name, group name, class sizes, classes. Of where
    they come from: tables, layout, table row, left out, not in the table, not here."""
    where: str
    """File and row, or the class."""
    what: str
    remedy: str
    """What to do about it."""


def stops_a_run(finding: Finding, settings: DownloadParams) -> bool:
    """True for what the run refuses with these settings."""
    if finding.level == "warning":
        return False
    if finding.kind == "unreadable":
        return settings.bad_images == "refuse"
    if finding.kind == "duplicate":
        return settings.duplicates == "refuse"
    return True


def judged(findings: Sequence[Finding], settings: DownloadParams) -> tuple[Finding, ...]:
    """The findings as a run with these settings takes them: errors are what stops it."""
    return tuple(
        one if stops_a_run(one, settings) else replace(one, level="warning") for one in findings
    )


def describe(findings: Sequence[Finding]) -> str:
    """A line per finding, `where: what; remedy`, errors first; at most so many warnings a kind."""
    ordered = sorted(findings, key=lambda finding: finding.level)  # stable: error < warning
    left = Counter(finding.kind for finding in findings if finding.level == "warning")
    told: Counter[str] = Counter()
    lines = []
    for finding in ordered:
        if finding.level == "warning":
            told[finding.kind] += 1
            if told[finding.kind] > SHOWN_WARNINGS:
                continue
        line = f"{finding.level}: {finding.where}: {finding.what}; {finding.remedy}"
        lines.append(shown(line))
    lines += [
        f"warning: {kind}: {count - SHOWN_WARNINGS} more like these"
        for kind, count in left.items()
        if count > SHOWN_WARNINGS
    ]
    return "\n".join(lines)


def some(places: Sequence[str], most: int = 3) -> str:
    """The first places, and how many more there are."""
    rest = f" and {len(places) - most} more" if len(places) > most else ""
    return ", ".join(map(shown, places[:most])) + rest


def shown(name: object) -> str:
    """A name or path on one line, whatever it holds: what cannot be printed is escaped.

    Of a text longer than any path the beginning.
    """
    text = str(name)
    if len(text) > _LONGEST_SHOWN:
        text = f"{text[:_LONGEST_SHOWN]}..."
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def shown_lines(text: object) -> str:
    """As `shown`, of a text whose line breaks stay: a message for a terminal.

    A terminal obeys some characters; names and cells of somebody else's files may hold them.
    """
    return "\n".join(map(shown, str(text).split("\n")))
