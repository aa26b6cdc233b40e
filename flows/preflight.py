"""`finer1 check`: whether this machine, its packages and its services can do the run."""

import json as json_lines
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from finer1.preflight.rows import Row

_LIMIT_S = 60.0
_MODEL = Path("models/base/world")
"""The embedded base, which comes with the code; a large one would take minutes to load."""


def check(
    json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")] = False,
    fast: Annotated[
        bool, typer.Option("--fast", help="Leave out the model, which takes the longest.")
    ] = False,
) -> None:
    """Look whether model, packages, disk, memory and services can do the run, within a minute.

    Example: finer1 check
    """
    from finer1.preflight.rows import row_text, worst
    from tasks.exit_codes import FAILED

    here, start = Path.cwd(), time.monotonic()
    rows = []
    if not json:
        print("= looks, and changes nothing; each line that is not OK says what helps")
    for row in examine_all(here, fast, start + _LIMIT_S):
        rows.append(row)
        if not json:
            print(row_text(row), flush=True)
    if json:
        print(json_lines.dumps([vars(row) for row in rows], indent=2))
    else:
        bad = {state: sum(row.state == state for row in rows) for state in ("WARN", "FAIL")}
        took = time.monotonic() - start
        print(f"{len(rows)} looked at: {bad['FAIL']} FAIL, {bad['WARN']} WARN; {took:.0f} s")
    raise typer.Exit(FAILED if worst(rows) == "FAIL" else 0)


def examine_all(root: Path, fast: bool, deadline: float) -> "Iterator[Row]":
    """Every row about the project at `root`, the cheap ones first.

    deadline: by time.monotonic(), for the model. Raises ValueError when params.yaml is wrong.
    """
    from finer1.params import load_params
    from flows import machine_rows, service_rows

    if not (root / "dvc.yaml").exists():
        raise ValueError(f"{root} has no dvc.yaml; change to the project's folder")
    params = load_params(root / "params.yaml")
    model = root / _MODEL
    looked = nullcontext() if fast else machine_rows.examined_model(model, params.runtime.device)
    with looked as process:
        yield from machine_rows.package_rows(root)
        yield from machine_rows.folder_rows(root, params.paths)
        yield from machine_rows.plan_rows(root, params)
        yield from service_rows.service_rows(root, params)
        if process is not None:
            yield from machine_rows.model_rows(process, deadline)
