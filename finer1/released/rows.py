"""The lines of a released question file."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from finer1.records import ImageRecord, read_jsonl, row
from finer1.released.joining import FileKey, file_key

_MAX_FINDINGS = 20


@row
class ReleasedRow:
    """A line of a released file."""

    image_path: str
    question: str
    options: tuple[str, ...]
    """The truth first, in all of them."""
    ground_truth: str


def read_rows(path: Path, dataset: str) -> list[tuple[FileKey, ReleasedRow]]:
    """The rows with what each is about.

    Raises ValueError with a line per wrong row, and when there is no such file.
    """
    if not path.is_file():
        raise ValueError(
            f"{path} is missing; `finer1 data released` gets the released files, or set "
            "questions.source to built and questions.options to another source than foci"
        )
    rows: list[tuple[FileKey, ReleasedRow]] = []
    lines: dict[FileKey, int] = {}
    wrong = []
    for number, line in enumerate(read_jsonl(path, ReleasedRow), 1):
        where = f"{path}:{number}"
        try:
            key = file_key(line.image_path)
        except ValueError as error:
            wrong.append(f"{where}: {error}")
            continue
        if key[0] != dataset:
            wrong.append(f"{where}: {line.image_path} is an image of {key[0]}, not of {dataset}")
        elif lines.setdefault(key, number) != number:
            wrong.append(f"{where}: {line.image_path} is already in line {lines[key]}")
        elif line.options.count(line.ground_truth) != 1:
            wrong.append(f"{where}: the truth, {line.ground_truth}, is not once among the options")
        elif len(set(line.options)) < len(line.options):
            wrong.append(f"{where}: an option is there twice")
        rows.append((key, line))
    _refuse(wrong)
    return rows


def check_truths(path: Path, joined: Iterable[tuple[int, ReleasedRow, ImageRecord]]) -> None:
    """Raise ValueError when the truth of a line is not the label of its image."""
    _refuse(
        [
            f"{path}:{number}: the truth is {line.ground_truth}, but {image.id} is {image.label}; "
            "the images are not those of the official archive"
            for number, line, image in joined
            if line.ground_truth != image.label
        ]
    )


def _refuse(wrong: Sequence[str]) -> None:
    if len(wrong) > _MAX_FINDINGS:
        more = f"... and {len(wrong) - _MAX_FINDINGS} more rows like these"
        raise ValueError("\n".join([*wrong[:_MAX_FINDINGS], more]))
    if wrong:
        raise ValueError("\n".join(wrong))
