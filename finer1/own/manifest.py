"""Tables that name images and their sub-categories: CSV, and metadata.jsonl of an imagefolder.

Columns, in any case; of several candidates the first one counts:

    file_name, path or image    the image, relative to the folder of the table
    label or class              the sub-category
    split                       train, validation or test; optional
    group                       genus, maker or family; optional
"""

import csv
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from finer1.datasets.interface import ListedImage, Side
from finer1.inspection.findings import Finding, shown
from finer1.own.names import SIDES, clean_name, name_problem
from finer1.own.paths import checked_path

TABLES = (".csv", ".tsv", ".jsonl")

_COLUMNS = {
    "path": ("file_name", "path", "image"),
    "label": ("label", "class"),
    "split": ("split",),
    "group": ("group",),
}
Row = tuple[int, Mapping[str, object]]
"""Line number, and the row by column."""


@dataclass(frozen=True)
class Table:
    """One table of images."""

    path: Path
    root: Path
    """Resolved folder that nothing may lead out of."""
    side: Side | None = None
    """Side of all of its rows that name none."""


def list_table(table: Table, category: str) -> tuple[list[ListedImage], list[Finding]]:
    """The images of a table in its order, and an error per row that cannot be used.

    Raises ValueError when the file is no such table, or has no column for images or labels.
    """
    images: list[ListedImage] = []
    wrong: list[Finding] = []
    lines: dict[str, int] = {}
    rows = list(_rows(table.path, wrong))
    if wrong and not rows:
        return [], wrong
    names = _columns(table.path, rows)
    sides = _sides_by_folder(table, rows, names)
    for number, row in rows:
        where = f"{shown(table.path)}:{number}"
        try:
            cells = {key: row.get(name) for key, name in names.items()}
            image = _image(table, category, cells, where, sides)
            if image.path in lines:
                raise _RowError(
                    f"{shown(image.path)} is already in line {lines[image.path]}",
                    "remove one of the two rows",
                )
        except _RowError as error:
            wrong.append(_finding(table.path, number, error))
            continue
        lines[image.path] = number
        images.append(image)
    return images, sorted(wrong, key=lambda finding: int(finding.where.rpartition(":")[2]))


class _RowError(Exception):
    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what, self.remedy = what, remedy


def _finding(path: Path, number: int, error: _RowError) -> Finding:
    return Finding("error", "table row", f"{shown(path)}:{number}", error.what, error.remedy)


def _image(
    table: Table,
    category: str,
    row: Mapping[str, object],
    where: str,
    sides: Mapping[str, Side],
) -> ListedImage:
    name = _text(row, "path")
    try:
        folder = Path(os.path.realpath(table.path.parent))
        path = checked_path(table.root, folder, name)
    except ValueError as error:
        raise _RowError(
            f"{shown(name)} {error}",
            "name an image file by its path relative to the table, inside its folder",
        ) from error
    label = clean_name(_text(row, "label"))
    group = clean_name(str(row["group"])) if row.get("group") else None
    for kind, text in (("label", label), ("group", group)):
        problem = None if text is None else name_problem(text)
        if problem:
            raise _RowError(f"the {kind} {shown(text or '')!r} {problem}", "write another name")
    return ListedImage(
        path=path.relative_to(table.root).as_posix(),
        category=category,
        label=label,
        group=group or None,
        official=_side(table, row, PurePosixPath(name).parts[0], sides),
        source=path,
        where=where,
    )


def _text(row: Mapping[str, object], column: str) -> str:
    """A cell's text; numbers, as labels of some tables are, become text."""
    value = row[column]
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        expected = " or ".join(_COLUMNS[column])
        raise _RowError(f"no text in the column {expected}", "fill it in, or remove the row")
    return value


def _side(table: Table, row: Mapping[str, object], folder: str, sides: Mapping[str, Side]) -> Side:
    if "split" not in row:
        return table.side or sides.get(folder, "train")
    side = SIDES.get(str(row["split"]).strip().casefold())
    if side is None:
        raise _RowError(
            f"{shown(str(row['split']))!r} is no split", "write train, validation or test"
        )
    return side


def _sides_by_folder(
    table: Table, rows: Sequence[Row], names: Mapping[str, str]
) -> dict[str, Side]:
    """Side by the first folder of a path, when every path begins with the name of a split."""
    if "split" in names or table.side:
        return {}
    parts = [PurePosixPath(str(row.get(names["path"]) or "-")).parts for _, row in rows]
    if any(len(part) < 2 or part[0].casefold() not in SIDES for part in parts):
        return {}
    return {part[0]: SIDES[part[0].casefold()] for part in parts}


def _columns(path: Path, rows: Sequence[Row]) -> dict[str, str]:
    """What a column is for -> its name in this table."""
    if not rows:
        raise ValueError(f"{shown(path)}: no row; write one per image, below the names of columns")
    there: dict[str, str] = {}
    for _, row in rows:
        for column in row:
            there.setdefault(column.strip().casefold(), column)
    found = {}
    for key, candidates in _COLUMNS.items():
        name = next((there[item] for item in candidates if item in there), None)
        if name is not None:
            found[key] = name
        elif key in ("path", "label"):
            raise ValueError(
                f"{shown(path)}: no column {' or '.join(candidates)}; there are "
                f"{shown(', '.join(there))}; rename one of them"
            )
    return found


def _rows(path: Path, wrong: list[Finding]) -> Iterator[Row]:
    """The rows that are one; a finding in `wrong` for each that is none."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{shown(path)}:{line}: not UTF-8 text; save it as UTF-8") from error
    is_json = path.suffix.lower() == ".jsonl"
    for number, row in _json_rows(text) if is_json else _csv_rows(path, text):
        if isinstance(row, _RowError):
            wrong.append(_finding(path, number, row))
        else:
            yield number, row


def _json_rows(text: str) -> Iterator[Row | tuple[int, _RowError]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield number, _RowError(f"no JSON ({error})", "correct the line, or remove it")
            continue
        is_row = isinstance(row, dict)
        yield number, row if is_row else _RowError("no JSON object", "write one per line")


def _csv_rows(path: Path, text: str) -> Iterator[Row | tuple[int, _RowError]]:
    """Raises ValueError when the names of the columns are no CSV."""
    header = text.split("\n", 1)[0]
    # Spreadsheets of many countries write a semicolon.
    delimiter = max(",;\t", key=header.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    names: list[str] = []
    while True:
        number = lines.line_num + 1
        try:
            cells = next(lines)
        except StopIteration:
            return
        except csv.Error as error:
            if not names:
                raise ValueError(f"{shown(path)}:{number}: no CSV ({error})") from error
            yield number, _RowError(f"no CSV ({error})", "close every quote, or remove the row")
            continue
        if not names:
            names = [cell.strip().casefold() for cell in cells]
        elif len(cells) == len(names):
            if any(cell.strip() for cell in cells):
                yield number, dict(zip(names, cells, strict=True))
        elif any(cell.strip() for cell in cells):
            what = f"{len(cells)} cells below {len(names)} names of columns"
            yield number, _RowError(what, "quote a cell that holds the separator")
