"""Tables out of `.mat` files of the internet: hash first, then a parser apart, then checks.

A file is parsed when its SHA-256 is that of the official file, or when the user accepts others
(`download.<dataset>.subset`), which a note then says. finer1/datasets/mat_parser.py parses in a
process of its own; what comes back is plain values, and nothing about them is taken on trust.
"""

import hashlib
import json
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from os import getpid
from pathlib import Path
from typing import Any

from finer1.datasets import mat_parser

MAX_BYTES = 16 << 20
"""Longest file that is parsed; the longest official one has 220,002 bytes."""
PATIENCE_S = 60.0
"""Time for the parser to start, and again for each file; its own limit is on processor time."""

_SHOWN = 80
"""Characters of a foreign value or message that are quoted."""


@dataclass(frozen=True)
class MatFile:
    """A `.mat` file that a dataset consists of."""

    path: Path
    sha256: str
    """Of the official file."""
    variables: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """The columns of one `.mat` file: variables, or fields of a struct as "variable.field"."""

    path: Path
    columns: dict[str, list[Any]]

    def where(self, row: int, column: str | None = None) -> str:
        """The place of a row, from 0, as messages name it: file, column if given, 1-based row."""
        return f"{self.path}:{column}:{row + 1}" if column else f"{self.path}:{row + 1}"


def read_mat_files(
    files: Sequence[MatFile], dataset: str, subset: bool
) -> tuple[list[Table], tuple[str, ...]]:
    """A table per file, and a note per file that is not the official one.

    Raises ValueError with a line per file that is missing, unlisted without `subset`, or cannot
    be parsed, and OSError when the parser cannot run.
    """
    refuse([f"{file.path}: the file is missing" for file in files if not file.path.is_file()])
    wrong: list[str] = []
    contents = [_content(file.path, wrong) for file in files]
    refuse(wrong)
    unlisted = []
    for file, content in zip(files, contents, strict=True):
        found = hashlib.sha256(content).hexdigest()
        if found != file.sha256:
            unlisted.append(
                f"{file.path}: not the official file (SHA-256 {found} instead of {file.sha256})"
            )
    if not subset:
        remedy = f"get the official one, or set download.{dataset}.subset to true if you trust it"
        refuse([f"{sentence}; {remedy}" for sentence in unlisted])
    parsed = parse_contents([(c, file.variables) for file, c in zip(files, contents, strict=True)])
    refuse([f"{f.path}: {p}" for f, p in zip(files, parsed, strict=True) if isinstance(p, str)])
    tables = [Table(f.path, p) for f, p in zip(files, parsed, strict=True) if isinstance(p, dict)]
    read_all_the_same = f"read all the same, as download.{dataset}.subset is true"
    return tables, tuple(f"{sentence}; {read_all_the_same}" for sentence in unlisted)


def parse_contents(
    files: Sequence[tuple[bytes, Sequence[str]]], patience_s: float = PATIENCE_S
) -> list[dict[str, list[Any]] | str]:
    """Columns of the wanted variables of each file, or a sentence on why there are none.

    Each file is parsed apart from the others, so a crash is the failure of one file only. Raises
    OSError when the parser itself cannot run or takes longer than `patience_s` per file.
    """
    requests = b"".join(
        json.dumps({"bytes": len(content), "variables": list(variables)}).encode() + b"\n" + content
        for content, variables in files
    )
    # Isolated mode by path: neither the working folder nor PYTHONPATH can bring in a module.
    command = [sys.executable, "-I", str(Path(mat_parser.__file__).resolve()), str(getpid())]
    try:
        done = subprocess.run(
            command,
            input=requests,
            capture_output=True,
            check=False,
            timeout=patience_s * (len(files) + 1),
        )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(
            f"the parser of .mat files did not answer in {error.timeout:.0f} s; is the machine "
            "overloaded?"
        ) from error
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    if len(answers) != len(files):
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise OSError(f"the parser of .mat files ended with code {done.returncode}: {said}")
    return [
        _outcome(code, text, variables)
        for (code, text), (_, variables) in zip(answers, files, strict=True)
    ]


def whole_numbers(table: Table, column: str, highest: int, wrong: list[str]) -> list[int]:
    """The column's values, each from 1 to `highest`; 0 for one that is told in `wrong`."""
    numbers = []
    for row, value in enumerate(table.columns[column]):
        is_whole = type(value) is int or (type(value) is float and value.is_integer())
        number = int(value) if is_whole and 1 <= value <= highest else 0
        if not number:
            wrong.append(
                f"{table.where(row, column)}: {_shown(value)} is no whole number from 1 to "
                f"{highest}"
            )
        numbers.append(number)
    return numbers


def texts(
    table: Table, column: str, form: re.Pattern[str], example: str, wrong: list[str]
) -> list[str]:
    """The column's values, each of the `form`; "" for one that is told in `wrong`."""
    found = []
    for row, value in enumerate(table.columns[column]):
        is_good = isinstance(value, str) and form.fullmatch(value)
        if not is_good:
            wrong.append(f"{table.where(row, column)}: {_shown(value)} is not like {example}")
        found.append(value if is_good else "")
    return found


def check_columns(table: Table, columns: Sequence[str]) -> None:
    """Raise ValueError unless the table has these columns, all of one length."""
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise ValueError(f"{table.path}: it holds no {', '.join(missing)}")
    lengths = {column: len(table.columns[column]) for column in columns}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{table.path}: columns of different lengths: {lengths}")


def refuse(wrong: Sequence[str]) -> None:
    """Raise ValueError with all lines, if there are any."""
    if wrong:
        raise ValueError("\n".join(wrong))


def _content(path: Path, wrong: list[str]) -> bytes:
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        wrong.append(f"{path}: longer than {MAX_BYTES} bytes; no such file of a dataset is")
    return content


def _outcome(code: int, text: str, variables: Sequence[str]) -> dict[str, list[Any]] | str:
    if code < 0:
        name = signal.Signals(-code).name
        return f"its parser was killed by {name}: the file is damaged or made to do harm"
    if code > 0:
        return f"not a readable .mat file ({_shown(text)})"
    try:
        columns = json.loads(text)
    except ValueError:
        return "its parser gave no table: the file is damaged"
    if not isinstance(columns, dict) or not all(isinstance(c, list) for c in columns.values()):
        return "its parser gave no table: the file is damaged"
    missing = [v for v in variables if not any(c.split(".")[0] == v for c in columns)]
    return f"it holds no variable {', '.join(missing)}" if missing else columns


def _shown(value: object) -> str:
    shown = repr(value).encode("ascii", "backslashreplace").decode()
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
