"""Installed packages against requirements.lock and against known advisories.

advisories.tsv in finer1/reference is a list of ours with a date; it asks no network. A package
may have faults that are not in it.
"""

import csv
import re
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from finer1.preflight.rows import Row, State

DATE = "2026-11-30"
"""When the list was last looked through."""
_LIST = Path(__file__).parents[1] / "reference" / "advisories.tsv"
_FRESH_DAYS = 90
_NEWER = "a newer finer1, or pip-audit -r requirements.lock where there is a network"
_LOCKED = re.compile(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", re.MULTILINE)
_UNLOCKED = "make setup"
_SHOWN = 5


def locked_versions(text: str) -> dict[str, str]:
    """Package, in the normal form of its name -> version, of a requirements.lock."""
    return {normal_name(name): version for name, version in _LOCKED.findall(text)}


def normal_name(name: str) -> str:
    """The form in which names of packages are compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def compare_versions(locked: Mapping[str, str], installed: Mapping[str, str]) -> Row:
    """Whether everything of the lock is there in its version; both by normal name."""
    missing = sorted(set(locked) - set(installed))
    other = sorted(
        name
        for name in set(locked) & set(installed)
        if Version(installed[name]).public != Version(locked[name]).public
    )
    if missing:
        named = ", ".join(missing[:_SHOWN])
        what = f"{len(missing)} of {len(locked)} packages are not installed: {named}"
        return Row("FAIL", "packages", what, _UNLOCKED)
    if other:
        named = ", ".join(
            f"{name} {installed[name]}, not {locked[name]}" for name in other[:_SHOWN]
        )
        what = f"{len(other)} of {len(locked)} differ from requirements.lock: {named}"
        return Row("WARN", "packages", what, _UNLOCKED)
    return Row("OK", "packages", f"all {len(locked)} in the versions of requirements.lock")


def list_advisories(installed: Mapping[str, str], today: date) -> Iterator[Row]:
    """A row per advisory that holds for what is installed, and one about the list itself."""
    with _LIST.open(encoding="utf-8", newline="") as file:
        entries = list(csv.DictReader(file, delimiter="\t"))
    held = 0
    for entry in entries:
        version = installed.get(entry["package"])
        if version is None or not _is_affected(version, entry["affected"]):
            continue
        held += 1
        state: State = "FAIL" if entry["level"] == "FAIL" else "WARN"
        what = f"{entry['package']} {version} ({entry['id']}): {entry['what']}"
        place = "make setup again" if entry["package"] == "python" else "requirements.lock"
        fix = f"a version outside {entry['affected']}; {place} (setup/README.md)"
        yield Row(state, "advisory", what, fix)
    age = (today - date.fromisoformat(DATE)).days
    what = f"{held or 'none'} of {len(entries)} hold here; the list is of {DATE}, {age} days ago"
    if age > _FRESH_DAYS:
        yield Row("WARN", "advisories", f"{what}: newer faults are not in it", _NEWER)
    else:
        yield Row("OK", "advisories", what)


def _is_affected(version: str, affected: str) -> bool:
    return SpecifierSet(affected, prereleases=True).contains(Version(version).public)
