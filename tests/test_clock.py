"""Nothing is decided by the time of day: it may step, and a file system's differs from ours."""

import ast
from pathlib import Path

from flows.imports import ROOMS

ROOT = Path(__file__).resolve().parents[1]
SHOWN = {
    "finer1/review/desk.py": "the time in a decision, for people",
    "finer1/own/corrections.py": "the time in a correction, for people",
    "flows/workspace.py": "since when a folder is held, for people",
    "tasks/attempts.py": "since when a stage runs, for people",
    "tasks/tracking/journal.py": "when a run and its metrics began, in MLflow",
    "flows/zombies.py": "whether a flow run is younger than a start takes",
    "finer1/endpoint/app.py": "when a model or an answer was made, as OpenAI's form has it",
    "finer1/endpoint/events.py": "when a model or an answer was made, as OpenAI's form has it",
    "flows/machine_rows.py": "how old the list of advisories is, for people",
    "finer1/downloads/transfer.py": "a server's Retry-After may be a date; bounded at 0",
}
"""Reads of the time of day that decide nothing of a result."""
STAMPS = {
    "finer1/inspection/cache.py": "size, mtime, ctime and inode together, as git does",
    "finer1/datasets/catalogue.py": "whether such a stamp is older than a file system's step",
    "finer1/inspection/inspecting.py": "whether such a stamp is older than a file system's step",
    "flows/status.py": "whether a log is of the attempt that runs, for people",
    "flows/trials.py": "a report that changed while the page is made is read again",
}
"""What a file's time stamps are good for."""


def reads(path):
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        name = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
        if name in ("time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "date.today"):
            names.add("day")
        if name.rpartition(".")[2] in ("st_mtime", "st_mtime_ns", "st_ctime_ns", "st_ctime"):
            names.add("stamp")
    return names


def test_the_time_of_day_and_stamps_are_read_where_that_was_reviewed():
    found = {
        str(path.relative_to(ROOT))
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        if reads(path)
    }
    assert found == set(SHOWN) | set(STAMPS)
