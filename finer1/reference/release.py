"""Which files the authors of Fine-R1 released: where they are, how long, with which hash.

released_files.tsv has a line per file: path in the repository at the pinned commit, size in bytes,
SHA-256. The files themselves are no part of the project.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

COMMIT = "84cdc5cbdf7fc232d44e9f5d2713bf95d3ecdd7a"
RATIONALES = "Fine-R1-Stage1-data.json"
"""Name of the file with the rationales of stage 1."""

_SOURCE = f"https://raw.githubusercontent.com/PKU-ICST-MIPL/FineR1_ICLR2026/{COMMIT}"
_LIST = Path(__file__).with_name("released_files.tsv")


@dataclass(frozen=True)
class ReleasedFile:
    """One file of the release."""

    name: str
    url: str
    size: int
    """Bytes."""
    sha256: str
    """Hex."""


def released_files() -> tuple[ReleasedFile, ...]:
    """The rationales and, for each of the six datasets, the questions on seen and on unseen."""
    with _LIST.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return tuple(
        ReleasedFile(
            name=row["path"].rpartition("/")[2],
            url=f"{_SOURCE}/{row['path']}",
            size=int(row["size"]),
            sha256=row["sha256"],
        )
        for row in rows
    )


def questions_file(dataset: str, seen: bool) -> str:
    """Name of the file with the questions about the seen or unseen sub-categories."""
    return f"{dataset}_{'seen' if seen else 'unseen'}.jsonl"
