"""Images whose right sub-category a person has picked on the try-it page.

<folder>/corrections.jsonl     a Correction per line; lines are only ever added
<folder>/images/<sha256>.<x>   the files, by their content

A file is on disk before the line that names it. `finer1 improve` takes them into the dataset.
"""

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from finer1.files import sha256_file, write_atomic
from finer1.images import decode
from finer1.journal import append_row, read_rows
from finer1.records import ClassKey, row

_ROWS, _IMAGES = "corrections.jsonl", "images"
MOVE = "move the file to another class folder and run finer1 data add --replace"
"""How an image of the data comes to another sub-category, which no correction does."""
_SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "GIF": ".gif", "BMP": ".bmp"}


@row
class Correction:
    """A person's word on what one image shows."""

    sha256: str
    """Of the image's file."""
    file: str
    """Its name below images/."""
    dataset: str
    category: str
    label: str | None
    """Its sub-category; None takes back what was said before."""
    answer: str | None
    """What the model had answered; None for no answer."""
    model: str
    """Identity of engine and weights."""
    reviewer: str
    time: str
    """ISO 8601, UTC."""

    @property
    def class_key(self) -> ClassKey | None:
        """The sub-category; None of one that takes back."""
        return None if self.label is None else (self.dataset, self.category, self.label)


def utc_now() -> str:
    """The time as a correction has it."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


class Corrections:
    """The corrections of a project.

    The file is read anew for every answer: two pages on it never disagree.
    """

    def __init__(self, folder: Path, now: Callable[[], str] = utc_now) -> None:
        self.folder = folder
        self.rows = folder / _ROWS
        self._now = now

    def standing(self) -> Mapping[str, Correction]:
        """SHA-256 -> the correction that counts, the last one, in the order of the first."""
        return {sha: item for sha, item in self.said().items() if item.label is not None}

    def said(self) -> Mapping[str, Correction]:
        """SHA-256 -> what was said last, taken back or not."""
        if not self.rows.exists():
            return {}
        return {item.sha256: item for item in read_rows(self.rows, Correction)}

    def path(self, correction: Correction) -> Path:
        """Where its image lies."""
        return self.folder / _IMAGES / correction.file

    def add(
        self, content: bytes, key: ClassKey, answer: str | None, model: str, reviewer: str
    ) -> Correction:
        """Say what an image shows; returns when it is on disk.

        answer, model: what was answered, and by which. Raises ValueError for what is no image,
        OSError when the disk takes it not; nothing counts then.
        """
        sha256 = hashlib.sha256(content).hexdigest()
        file = f"{sha256}{_SUFFIXES[decode(content).format]}"
        made = Correction(sha256, file, *key, answer, model, reviewer, self._now())
        path = self.path(made)
        if not path.is_file() or sha256_file(path) != sha256:  # a damaged one is mended so
            write_atomic(path, content)
        append_row(self.rows, made)
        return made

    def take_back(self, sha256: str, reviewer: str) -> Correction | None:
        """Take back what was said of an image; returns that, None where nothing stands."""
        found = self.standing().get(sha256)
        if found is not None:
            append_row(
                self.rows,
                Correction(
                    sha256=sha256,
                    file=found.file,
                    dataset=found.dataset,
                    category=found.category,
                    label=None,
                    answer=found.answer,
                    model=found.model,
                    reviewer=reviewer,
                    time=self._now(),
                ),
            )
        return found
