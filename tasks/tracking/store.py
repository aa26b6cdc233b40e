"""The tracking store: where it is, made once, its experiment, and the runs of dead processes."""

import fcntl
import logging
import os
import re
import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from tasks.origin import is_alive

EXPERIMENT = "finer1"
PARENT_TAG = "mlflow.parentRunId"
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # The defaults (7 retries, factor 2, 120 s) block for minutes when the server is away.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "4",
}
_SHOWN = 160
"""Characters of an error, whose libraries nest their messages."""
_PASSWORD = re.compile(r"//[^/\s]*@")


def tracking_uri(root: Path) -> str:
    """Address of the tracking store; a SQLite file by its whole path, below `root` otherwise."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
    database = _database(uri)
    return f"sqlite:///{root.resolve() / database}" if database else uri


def shown_uri(uri: str) -> str:
    """The address without user and password, for files and messages."""
    return _PASSWORD.sub("//", uri)


def is_local(uri: str) -> bool:
    """True for a SQLite file, which is never away."""
    return _database(uri) is not None


def prepare_store(root: Path) -> None:
    """Create the local store and its experiment once, however many processes ask for it.

    Four processes that open a fresh SQLite store at once break it for good, hence the lock; and
    so does a kill while the tables are made, hence another name until they are.
    Does nothing when the store is a server. Raises RuntimeError when the file is no store.
    """
    database = _database(tracking_uri(root))
    if database is None:
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    with database.with_name(database.name + ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _is_ready(database):
            return
        try:
            load_mlflow()
            if database.exists():  # Another tool's store, or a file that is none.
                experiment_id(open_client(f"sqlite:///{database}"), root)
            else:
                _make_store(database, root)
            with closing(sqlite3.connect(database)) as connection:
                connection.execute("PRAGMA journal_mode=WAL")
        except Exception as error:
            raise RuntimeError(
                f"{database} is no usable MLflow store ({first_line(error)}); move it away and "
                "run again: a new one is made"
            ) from error


def open_store(root: Path) -> tuple[Any, str]:
    """A client of the store, made first where it is local, and the id of the experiment."""
    prepare_store(root)
    client = open_client(tracking_uri(root))
    return client, experiment_id(client, root)


def end_dead_runs(client: Any, experiment: str) -> None:
    """Mark runs as killed whose process, on this machine, is gone."""
    runs = client.search_runs(
        [experiment],
        f"attributes.status = 'RUNNING' and tags.host = '{socket.gethostname()}'",
        max_results=100,
    )
    for run in runs:
        if not is_alive(run.data.tags):
            client.set_terminated(run.info.run_id, "KILLED")


def load_mlflow() -> None:
    """Import mlflow in the caller's thread: imports in two threads at once can deadlock."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401

    for name in ("mlflow", "alembic", "urllib3"):
        logging.getLogger(name).setLevel(logging.ERROR)


def open_client(uri: str) -> Any:
    """An MLflow client of the store at an address."""
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def experiment_id(client: Any, root: Path) -> str:
    """Id of the project's experiment; created with artifacts in `mlartifacts/` when local."""
    if found := client.get_experiment_by_name(EXPERIMENT):
        return str(found.experiment_id)
    folder = (root.resolve() / "mlartifacts").as_uri()
    location = folder if is_local(tracking_uri(root)) else None
    return str(client.create_experiment(EXPERIMENT, artifact_location=location))


def store_errors() -> tuple[type[Exception], ...]:
    """What is raised when the store does not answer, or is none."""
    from mlflow.exceptions import MlflowException

    return (MlflowException, OSError, RuntimeError)


def first_line(error: BaseException) -> str:
    """The first line of what an error says, without passwords."""
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    return shown_uri(text)[:_SHOWN]  # In this order: half a password has no @ after it.


def _database(uri: str) -> Path | None:
    """The file of a SQLite store, None for a server."""
    scheme, _, path = uri.partition(":///")
    return Path(path) if scheme == "sqlite" else None


def _make_store(database: Path, root: Path) -> None:
    part = database.with_name(f"{database.name}.part")
    for rest in (part, part.with_name(f"{part.name}-journal")):
        rest.unlink(missing_ok=True)
    client = open_client(f"sqlite:///{part}")
    experiment_id(client, root)
    client._tracking_client.store.engine.dispose()  # It is open under the name that goes.
    part.replace(database)


def _is_ready(database: Path) -> bool:
    if not database.exists():
        return False
    try:
        with closing(sqlite3.connect(database)) as connection:
            query = "SELECT count(*) FROM experiments WHERE name = ?"
            return bool(connection.execute(query, (EXPERIMENT,)).fetchone()[0])
    except sqlite3.Error:
        return False
