"""One line of a check: what was looked at, how it stands, and the command that puts it right."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

State = Literal["OK", "WARN", "FAIL"]


@dataclass(frozen=True)
class Row:
    """One finding."""

    state: State
    subject: str
    """What was looked at, in one or two words."""
    what: str
    """What was found, with the number."""
    fix: str = ""
    """A command or setting; empty where all is well."""


def worst(rows: Iterable[Row]) -> State:
    """The gravest state among the rows; OK without any."""
    states = {row.state for row in rows}
    return next((state for state in ("FAIL", "WARN") if state in states), "OK")


def row_text(row: Row) -> str:
    """The row as a line, and its fix as a second one."""
    line = f"{row.state:<5} {row.subject:<18} {row.what}"
    return line if row.state == "OK" or not row.fix else f"{line}\n{'':<25}fix: {row.fix}"
