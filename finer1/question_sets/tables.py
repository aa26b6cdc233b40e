"""Questions in a table: JSON lines, JSON, CSV, TSV or parquet.

A row has an image (its path relative to the table's folder; in parquet also the file itself), a
question and one or several right answers; options, a category, a caption and an id are optional
(fields.py). A row with options is closed, one without is open; one with a caption also asks to
describe. Of CSV and TSV a cell with several answers or options is a JSON list, or has | between.
"""

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from finer1.evaluation.answers import normalise
from finer1.own.names import is_text
from finer1.question_sets.fields import Fields, find_fields, value_of
from finer1.question_sets.interface import (
    OTHER_CATEGORY,
    Kind,
    QuestionSet,
    SetQuestion,
    check_ids,
    refuse,
)
from finer1.question_sets.parquet import ParquetTable
from finer1.question_sets.pictures import FolderPictures

SUFFIXES = (".jsonl", ".json", ".csv", ".tsv", ".parquet")
DESCRIBE = "Describe the {category} in this picture: what is it, and what does it look like?"
"""What is asked where a caption is the reference."""

Row = tuple[int, Mapping[str, object]]
"""Number of the line, of the item or of the row, from 1; and its values by column."""


def read_table(path: Path, chosen: Mapping[str, str], category: str, outside: bool) -> QuestionSet:
    """The questions of a table.

    chosen: columns by use, where the user says so. category: word of rows that have none. outside:
    images may lie outside the table's folder. Raises ValueError naming every bad row.
    """
    findings: list[str] = []
    if path.suffix.lower() == ".parquet":
        parquet = ParquetTable(path)
        fields = find_fields(parquet.columns, chosen, str(path))
        rows: Sequence[Row] = parquet.rows(fields["image"][0])
        read_bytes = parquet.pictures(FolderPictures(path.parent, outside))
    else:
        rows = list(_rows(path, findings))
        if not rows:
            refuse(findings or [f"{path} has no row; write one per question"])
        fields = find_fields(
            dict.fromkeys(key for _, row in rows for key in row), chosen, str(path)
        )
        read_bytes = FolderPictures(path.parent, outside)
    reader = _Reader(path, fields, category, "reference" in chosen)
    questions: list[SetQuestion] = []
    for number, row in rows:
        try:
            questions += reader.questions(number, row)
        except _RowError as error:
            findings.append(f"{path}:{number}: {error}")
        except RecursionError:
            findings.append(f"{path}:{number}: a list is nested too deeply; write a flat one")
    refuse([*findings, *check_ids(questions)])
    note = "; ".join(f"{use} from {', '.join(names)}" for use, names in fields.items())
    return QuestionSet(path.stem, tuple(questions), read_bytes, (note,))


class _RowError(Exception):
    """What is wrong with a row."""


@dataclass(frozen=True)
class _Reader:
    """Makes questions of rows."""

    path: Path
    fields: Fields
    category: str
    is_said: bool
    """The user named the column of right answers."""

    def questions(self, number: int, row: Mapping[str, object]) -> Iterator[SetQuestion]:
        """The question of a row, and the one that its caption answers. Raises _RowError."""
        images = self._texts(row, "image")
        if not images:
            raise _RowError(f"{self.fields['image'][0]}: no image; name one, or remove the row")
        category = " ".join(self._texts(row, "category")[:1]) or self.category or OTHER_CATEGORY
        key = next(iter(self._texts(row, "id")), str(number))
        where = f"{self.path}:{number}"
        captions = self._texts(row, "caption")
        if not captions and "reference" not in self.fields:
            raise _RowError(f"{self.fields['caption'][0]}: no caption; write one")
        if captions:
            text = DESCRIBE.format(category=category)
            yield SetQuestion(
                f"describe/{key}", where, "describe", images, text, (), captions, category
            )
        if "reference" in self.fields:
            text, options, references = self._asked(row, not captions)
            kind: Kind = "closed" if options else "open"
            if text:
                yield SetQuestion(
                    f"{kind}/{key}", where, kind, images, text, options, references, category
                )

    def _asked(
        self, row: Mapping[str, object], is_needed: bool
    ) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        """Question, options and right answers; the question is empty where a caption is enough."""
        text = " ".join(self._texts(row, "question", splits=False))
        references = self._texts(row, "reference")
        options = self._texts(row, "options")
        if not text and not references and not is_needed:
            return "", (), ()
        if not text:
            raise _RowError(f"{self.fields['question'][0]}: no question; write one")
        if not references:
            raise _RowError(f"{', '.join(self.fields['reference'])}: no right answer; write one")
        short = next(filter(_is_short, references), None)
        if short and not options and not self.is_said:
            raise _RowError(
                f"the right answer, {short}, is shorter than three letters; if it is no letter of "
                "an option, name its column with --field reference=COLUMN"
            )
        if len(options) == 1:
            raise _RowError(f"one option, {options[0]}; a choice needs two or more")
        if len(set(map(normalise, options))) < len(options):
            raise _RowError("options: two differ in spelling alone; keep one of them")
        if options and references[0] not in options:
            raise _RowError(
                f"the right answer, {references[0]}, is none of the options; write one as it "
                "stands there"
            )
        return text, options, references

    def _texts(self, row: Mapping[str, object], use: str, splits: bool = True) -> tuple[str, ...]:
        """The texts for a use, stripped, none twice; empty ones are left out."""
        is_cell = self.path.suffix.lower() in (".csv", ".tsv") and splits and use != "category"
        texts: list[str] = []
        for name in self.fields.get(use, ()):
            value = value_of(row, name)
            items = _split(value) if is_cell and isinstance(value, str) else value
            texts += _flat(items, name, use)
        return tuple(dict.fromkeys(text.strip() for text in texts if text.strip()))


def _flat(value: object, name: str, use: str) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str):
        if not is_text(value):
            raise _RowError(f"{name} holds half a character (a lone surrogate); correct it")
        return [value]
    if isinstance(value, float) and not math.isfinite(value):
        raise _RowError(f"{name} holds {value}, which is no text and no finite number; correct it")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return [str(value)]
    if isinstance(value, Mapping):
        keys = [str(key) for key in value]
        example = f"--field {use}={name}.{keys[0]}" if keys else "another column"
        raise _RowError(f"{name} holds {', '.join(keys)}; choose one: {example}")
    if isinstance(value, Iterable) and not isinstance(value, bytes):
        return [text for item in value for text in _flat(item, name, use)]
    raise _RowError(f"{name}: {type(value).__name__} is no text")


def _is_short(name: str) -> bool:
    """True of a letter or number; one character of another script may be a whole name."""
    letters = "".join(character for character in name if character.isalnum())
    return len(letters) < 3 and letters.isascii()


def _split(cell: str) -> object:
    """The items of a cell that holds a JSON list or has | between them."""
    if cell.lstrip().startswith("["):
        try:
            return json.loads(cell)
        except (ValueError, RecursionError):
            return cell
    return cell.split("|")


def _rows(path: Path, findings: list[str]) -> Iterator[Row]:
    """The rows that are one, a finding for each that is none. Raises ValueError for no table."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path}:{line}: not UTF-8 text; save it as UTF-8") from error
    suffix = path.suffix.lower()
    if suffix == ".jsonl":
        yield from _json_lines(path, text, findings)
    elif suffix == ".json":
        yield from _json_list(path, text, findings)
    else:
        yield from _cells(path, text, "\t" if suffix == ".tsv" else ",", findings)


def _json_lines(path: Path, text: str, findings: list[str]) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            findings.append(f"{path}:{number}: no JSON ({error}); write one object a line")
            continue
        if isinstance(row, dict):
            yield number, row
        else:
            findings.append(f"{path}:{number}: no JSON object; write one a line")


def _json_list(path: Path, text: str, findings: list[str]) -> Iterator[Row]:
    """The items of a JSON list, or of the one list in a JSON object."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: no JSON ({error})") from error
    if isinstance(value, dict):
        lists = [item for item in value.values() if isinstance(item, list)]
        if len(lists) != 1:
            raise ValueError(
                f"{path}: {len(lists)} of its values are lists; write one list of questions"
            )
        value = lists[0]
    if not isinstance(value, list):
        raise ValueError(f"{path}: no list; write a list of questions")
    for number, row in enumerate(value, 1):
        if isinstance(row, dict):
            yield number, row
        else:
            findings.append(f"{path}:{number}: this item is no JSON object; write one per question")


def _cells(path: Path, text: str, delimiter: str, findings: list[str]) -> Iterator[Row]:
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    names: list[str] = []
    while True:
        number = lines.line_num + 1
        try:
            cells = next(lines)
        except StopIteration:
            return
        except csv.Error as error:
            findings.append(f"{path}:{number}: no CSV ({error}); close every quote")
            continue
        if not any(cell.strip() for cell in cells):
            continue
        if not names:
            names = [cell.strip() for cell in cells]
        elif len(cells) == len(names):
            yield number, dict(zip(names, cells, strict=True))
        else:
            findings.append(
                f"{path}:{number}: {len(cells)} cells below {len(names)} names of columns; quote "
                "a cell that holds the separator"
            )
