"""Rows of `finer1 check` about services: only those that the environment names are asked."""

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx

from finer1.params import Params
from finer1.preflight.rows import Row, State
from flows.processes import as_typed

_TIMEOUT_S = 3.0
_SERVERS: tuple[tuple[str, str, str, State], ...] = (
    ("MLFLOW_TRACKING_URI", "MLflow", "health", "WARN"),
    ("PREFECT_API_URL", "Prefect", "health", "FAIL"),
    ("FINER1_SERVER", "teacher", "models", "FAIL"),
    ("FINER1_EVAL_SERVER", "evaluated model", "models", "FAIL"),
    ("FINER1_VLLM_SERVER", "vLLM", "models", "FAIL"),
)
"""Variable, what is there, a path that costs nothing, and how bad its silence is: training goes
on without MLflow."""
_KEYS = {"FINER1_SERVER": "FINER1_API_KEY", "FINER1_EVAL_SERVER": "FINER1_EVAL_KEY"}
_LOCKS = ("dvc.lock", ".dvc/tmp/rwlock")


def service_rows(root: Path, params: Params) -> Iterator[Row]:
    """Servers, the local store of MLflow, and the files that a killed run leaves unreadable."""
    for variable, name, path, silence in _SERVERS:
        if address := os.environ.get(variable):
            if address.startswith(("http://", "https://")):
                yield _ask(variable, name, address, path, silence)
            elif variable != "MLFLOW_TRACKING_URI":
                what = f"{variable} is no address of a server"
                yield Row("FAIL", name, what, f"export {variable}=http://127.0.0.1:PORT/v1")
    yield from _needed(params)
    yield _store_row(root)
    yield _lock_row(root)


def _ask(variable: str, name: str, address: str, path: str, silence: State) -> Row:
    """Any answer but a server's own error is one: what it means, whoever uses it finds out."""
    fix = f"start it, or export another {variable}"
    try:
        url = httpx.URL(address.rstrip("/") + "/" + path)
        shown = url.copy_with(userinfo=b"")
    except httpx.InvalidURL:  # whose words may hold the password
        return Row("FAIL", name, f"{variable} is no address of a server", fix)
    key = os.environ.get(_KEYS.get(variable, ""))
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        answer = httpx.get(url, headers=headers, timeout=_TIMEOUT_S)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Row(silence, name, f"{shown} does not answer ({type(error).__name__})", fix)
    if answer.status_code in (401, 403):
        wanted = _KEYS.get(variable, "its password")
        return Row("FAIL", name, f"{shown} refuses ({answer.status_code})", f"export {wanted}")
    if answer.status_code >= 500:
        return Row(silence, name, f"{shown} answers {answer.status_code}", fix)
    return Row("OK", name, f"{shown} answers {answer.status_code}")


def _needed(params: Params) -> Iterator[Row]:
    """Servers that the settings need and the environment does not name."""
    engines = {params.concepts.engine.partition(":")[0], params.cot.engine.partition(":")[0]}
    needed = [
        ("openai" in engines, "FINER1_SERVER", "teacher", "concepts.engine or cot.engine"),
        (params.runtime.engine == "vllm_server", "FINER1_VLLM_SERVER", "vLLM", "runtime.engine"),
    ]
    for is_needed, variable, name, setting in needed:
        if is_needed and not os.environ.get(variable):
            what = f"{setting} asks for a server, and {variable} names none"
            yield Row("FAIL", name, what, f"export {variable}=http://127.0.0.1:8000/v1")


def _store_row(root: Path) -> Row:
    """The local tracking store; asked of SQLite itself, since importing MLflow takes seconds."""
    database = root / "mlflow.db"
    if os.environ.get("MLFLOW_TRACKING_URI"):
        return Row("OK", "tracking store", "a server's; the local one is not used")
    if not database.exists():
        return Row("OK", "tracking store", f"{database.name} is made by the first run")
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            runs = connection.execute("SELECT count(*) FROM runs").fetchone()[0]
    except sqlite3.Error as error:
        return Row("FAIL", "tracking store", f"{database} is no store ({error})",
                   f"mv {database} {database}.broken; the next run makes a new one")  # fmt: skip
    return Row("OK", "tracking store", f"{database.name}, {runs} runs")


def _lock_row(root: Path) -> Row:
    from flows.dag import is_readable_lock

    broken = []
    for name in _LOCKS:
        path = root / name
        if path.exists() and not (is_readable_lock(path) if name == "dvc.lock" else _is_json(path)):
            broken.append(name)
    if broken:
        what = f"unreadable: {', '.join(broken)}, as a killed DVC leaves them"
        return Row("WARN", "DVC's files", what, f"{as_typed('finer1 run', root)} repairs them")
    return Row("OK", "DVC's files", "readable")


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True
