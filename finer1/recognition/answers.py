"""What `finer1 predict` writes: a row per image, as text, JSON lines or CSV.

A file of rows grows as answers come. Started again, an image that is in it with the same content,
asked in the same way of the same model, is not asked again.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from finer1.prompts import SECTIONS
from finer1.recognition.reading import Recognition

COLUMNS = (
    *("image", "answer", "vote_share", "candidates", *SECTIONS, "votes", "error"),
    *("sha256", "model", "question", "sampling"),
)
"""Of CSV; lists with semicolons, votes as JSON."""

FORMATS = ("text", "jsonl", "csv")

Row = Mapping[str, Any]
Key = tuple[str, str | None, str, str, str]
"""What a row is known by: image, its SHA-256, model, question, sampling."""


@dataclass(frozen=True)
class Answered:
    """One image with what became of it."""

    image: str
    """Its path, as it was given or found."""
    sha256: str | None
    """Of its content; None when it could not be read."""
    model: str
    """Identity of engine and weights."""
    question: str
    """What was asked."""
    sampling: str
    """How completions were drawn."""
    found: Recognition | None
    """None for what is no image."""
    error: str | None = None
    """Why there is none."""

    @property
    def key(self) -> Key:
        """What it is known by when the same is asked again: as a CSV file has it."""
        words = (self.model, _harmless(self.question), self.sampling)
        return _harmless(self.image), self.sha256, *words


def json_line(item: Answered) -> str:
    """The row as a line of JSON, without a line break."""
    rest = asdict(item)
    found = rest.pop("found") or {}
    row = {"image": rest.pop("image"), **found, **rest}
    return json.dumps(row, ensure_ascii=False)


def csv_head() -> str:
    """The head of a CSV file, with its line break."""
    return _csv_line(COLUMNS)


def csv_line(item: Answered) -> str:
    """The row as a line of CSV, with its line break.

    A cell that a table program would compute begins with an apostrophe; a line break is a blank, so
    that a torn row ends where its line does.
    """
    found = item.found
    share = found.share if found else None
    cells: dict[str, Any] = {
        "image": item.image,
        "answer": found.answer if found else None,
        "vote_share": None if share is None else f"{share:.3f}",
        "candidates": "; ".join(found.candidates) if found else None,
        **(found.sections if found else {}),
        "votes": json.dumps(found.votes, ensure_ascii=False) if found and found.votes else None,
        "error": item.error,
        "sha256": item.sha256,
        "model": item.model,
        "question": item.question,
        "sampling": item.sampling,
    }
    return _csv_line([_harmless(cells.get(name) or "") for name in COLUMNS])


def text_lines(item: Answered) -> Iterator[str]:
    """The row for a terminal: the answer, its share of the votes, the sections, all votes."""
    yield item.image
    found = item.found
    if found is None:
        yield f"  error       {item.error}"
        return
    answer = found.answer if found.answer is not None else "no answer"
    share = found.share
    yield f"  answer      {answer}" + ("" if share is None else f"  ({share:.0%} of the votes)")
    if not found.sections:
        yield f"  no sections; the completion is: {found.raw.strip()}"
    for name, body in found.sections.items():
        yield f"  {name:<12}{body}"
    if found.votes:
        yield "  votes       " + ", ".join(f"{n} {s:.2f}" for n, s in found.votes.items())


def read_done(path: Path) -> tuple[dict[Key, bool], int]:
    """Keys of the rows in a file of rows, with whether there is an answer, and its whole length.

    The length in bytes is that up to the last whole line.

    A kill leaves half a line at most, which counts for nothing. Raises ValueError when it is no
    such file.
    """
    content = path.read_bytes() if path.exists() else b""
    whole = content[: content.rfind(b"\n") + 1]
    text = whole.decode("utf-8", errors="replace")
    try:
        rows: list[Row]
        if path.suffix == ".csv":
            reader = csv.DictReader(io.StringIO(text, newline=""))
            if text and tuple(reader.fieldnames or ()) != COLUMNS:
                raise ValueError("other columns")
            rows = list(reader)
        else:
            rows = [json.loads(line) for line in text.split("\n") if line]
        done = {
            (
                _harmless(str(row["image"])),
                row["sha256"] or None,
                row["model"],
                _harmless(str(row["question"])),
                row["sampling"],
            ): not row["error"]
            for row in rows
        }
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"--out {path} is there and was not written by finer1 predict ({error}); "
            "name another file"
        ) from error
    return done, len(whole)


def _csv_line(cells: Any) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _harmless(cell: str) -> str:
    cell = " ".join(cell.splitlines())
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t") else cell
