"""The text tables of the published archives, and what is wrong in them, told row by row."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

Table = dict[str, tuple[int, str]]
"""First word of a line -> line number and the rest of the line."""

Fault = tuple[Path, int, str]
"""File, line and what is wrong there."""


def refuse(faults: Iterable[Fault]) -> None:
    """Raise ValueError with a line per fault, in the order of files and lines; none is fine."""
    lines = [f"{path}:{line}: {what}" for path, line, what in sorted(set(faults))]
    if lines:
        raise ValueError("\n".join(lines))


def refuse_missing(folder: Path, files: Iterable[str]) -> None:
    """Raise ValueError naming what is missing in the folder: one of `files`, or images/."""
    missing = [
        f"{folder / name}: the file is missing" for name in files if not (folder / name).is_file()
    ]
    if not (folder / "images").is_dir():
        missing.append(f"{folder / 'images'}: the folder is missing")
    if missing:
        raise ValueError("\n".join(missing))


def read_table(path: Path, faults: list[Fault]) -> Table:
    """Lines of "key value", split at the first space; lines that begin with # are headers."""
    rows: Table = {}
    text = path.read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#"):
            continue
        key, _, value = line.strip().partition(" ")
        if not value:
            faults.append((path, number, f"{line!r} is not 'id value'"))
        elif key in rows:
            faults.append((path, number, f"id {key} is already in line {rows[key][0]}"))
        else:
            rows[key] = (number, value.strip())
    return rows


def check_keys(
    path: Path,
    table: Mapping[str, tuple[int, str]],
    known: Iterable[str],
    where: str,
    faults: list[Fault],
) -> None:
    """A fault for each key of the table in `path` that is not among those of `where`."""
    for key in table.keys() - set(known):
        faults.append((path, table[key][0], f"image {key} is not in {where}"))


def usual_values(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """First -> the second that most of the (first, second) pairs give it."""
    votes: dict[str, Counter[str]] = {}
    for first, second in pairs:
        votes.setdefault(first, Counter())[second] += 1
    return {first: counter.most_common(1)[0][0] for first, counter in votes.items()}
