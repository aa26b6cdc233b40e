import csv
from datetime import date, timedelta
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from finer1.preflight.rows import Row, row_text, worst
from finer1.preflight.versions import DATE, compare_versions, list_advisories, locked_versions

LISTED = date.fromisoformat(DATE)
LOCK = """\
Pillow==13.0.0 \\
    --hash=sha256:aa
ruamel.yaml==0.18.1 \\
    --hash=sha256:bb
"""


def test_the_lock_is_read_by_normal_names():
    assert locked_versions(LOCK) == {"pillow": "13.0.0", "ruamel-yaml": "0.18.1"}


@pytest.mark.parametrize(
    ("installed", "state", "words"),
    [
        ({"pillow": "13.0.0", "torch": "2.13.0+cpu"}, "OK", "all 2"),
        ({"pillow": "12.9", "torch": "2.13.0"}, "WARN", "pillow 12.9, not 13.0.0"),
        ({"pillow": "13.0.0"}, "FAIL", "1 of 2 packages are not installed: torch"),
    ],
)
def test_what_is_installed_is_held_against_the_lock(installed, state, words):
    row = compare_versions({"pillow": "13.0.0", "torch": "2.13.0"}, installed)
    assert row.state == state
    assert words in row.what
    assert (row.fix == "") == (state == "OK")


@pytest.mark.parametrize(
    ("package", "version", "states"),
    [
        ("torch", "2.5.1", {"FAIL"}),
        ("torch", "2.5.1+cpu", {"FAIL"}),
        ("torch", "2.13.0+cpu", {"OK"}),
        ("transformers", "5.2.0", {"FAIL"}),
        ("transformers", "5.17.0", {"OK"}),
        ("vllm", "0.31.0", {"WARN"}),
        ("vllm", "0.32.0", {"OK"}),
        ("litellm", "1.82.8", {"FAIL"}),
        ("litellm", "1.82.9", {"OK"}),
        ("python", "3.11.7", {"WARN"}),
        ("python", "3.11.17", {"OK"}),
    ],
)
def test_an_advisory_holds_for_the_versions_that_it_names(package, version, states):
    *rows, last = list_advisories({package: version}, LISTED)
    assert ({row.state for row in rows} or {"OK"}) == states
    assert all(package in row.what and row.fix for row in rows)
    assert (last.state, last.what.split()[0]) == ("OK", str(len(rows) or "none"))


@pytest.mark.parametrize(("days", "state"), [(0, "OK"), (90, "OK"), (91, "WARN")])
def test_the_list_of_advisories_says_how_old_it_is(days, state):
    (row,) = list_advisories({}, LISTED + timedelta(days))
    assert row.state == state
    assert f"the list is of {DATE}, {days} days ago" in row.what


def test_the_list_of_advisories_is_well_formed(repository):
    path = Path(repository / "finer1/reference/advisories.tsv")
    with path.open(encoding="utf-8", newline="") as file:
        entries = list(csv.DictReader(file, delimiter="\t"))
    assert entries
    for entry in entries:
        assert all(entry.values()), entry
        assert SpecifierSet(entry["affected"])
        assert entry["level"] in ("WARN", "FAIL")


def test_the_gravest_row_counts_and_a_fix_has_a_line_of_its_own():
    rows = [Row("OK", "a", "b"), Row("WARN", "c", "d", "e"), Row("OK", "f", "g")]
    assert worst(rows) == "WARN"
    assert worst([]) == "OK"
    assert row_text(rows[1]).split() == ["WARN", "c", "d", "fix:", "e"]
    assert "\n" not in row_text(rows[0])
