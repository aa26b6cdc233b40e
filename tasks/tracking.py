"""MLflow behind a local file: the run of a stage, its metrics, tables, images and artifacts.

The only module that imports mlflow. Metrics go to a JSON-lines file first; a thread brings them
to the tracking store, and nothing that happens there can change a result: a server that is away
costs at most `PATIENCE_S` seconds, and a line says that something was left out.

Environment, all optional: MLFLOW_TRACKING_URI (default: `mlflow.db` in the project's folder, with
artifacts in `mlartifacts/`), FINER1_PARENT_RUN (run of the pipeline), FINER1_FLOW_RUN (Prefect),
DVC_EXP_NAME (set by DVC).
"""

import fcntl
import json
import logging
import os
import queue
import re
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from tasks.origin import is_alive, origin_tags

EXPERIMENT = "finer1"
PARENT_TAG = "mlflow.parentRunId"
PATIENCE_S = 5.0
_LOCAL_PATIENCE_S = 60.0  # A file is never away: another process holds it, for seconds at most.
_PAUSE_S = 2.0
_PARAMS_PER_CALL, _PARAM_CHARACTERS = 100, 6000  # Limits of MLflow.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # The defaults (7 retries, factor 2, 120 s) block for minutes when the server is away.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "4",
}
_CAN_NEVER_WORK = {"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_DOES_NOT_EXIST"}
_PASSWORD = re.compile(r"//[^/@\s]*@")

Status = Literal["FINISHED", "FAILED"]
_Call = Callable[[Any, str], None]  # With an MLflow client and a run id.


class Tracker:
    """One MLflow run; every method returns at once and leaves the rest to a thread."""

    def __init__(
        self,
        name: str,
        params: Mapping[str, object],
        tags: Mapping[str, str],
        logs: Path,
        root: Path,
    ) -> None:
        """Start the run `name` in the store of the project at `root`; `logs` is the local file."""
        self._name = name
        self._logs = logs
        self._root = root
        self._uri = tracking_uri(root)
        self._patience_s = PATIENCE_S if _database(self._uri) is None else _LOCAL_PATIENCE_S
        self._params = params
        self._tags = {**origin_tags(root, os.environ), **tags}
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._run_id: str | None = None
        self._known = threading.Event()
        self._closing = threading.Event()
        self._dropped = 0
        _cut_torn_line(logs)
        _load_mlflow()
        self._thread = threading.Thread(target=self._ship, name="tracking", daemon=True)
        self._thread.start()

    def run_id(self) -> str | None:
        """Id of the MLflow run; None when the store does not answer within `PATIENCE_S`."""
        self._known.wait(self._patience_s)
        return self._run_id

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Append the metrics of one step to the local file, then send them."""
        values = {name: float(value) for name, value in metrics.items()}
        self._logs.parent.mkdir(parents=True, exist_ok=True)
        with self._logs.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, "metrics": values}) + "\n")
        self._send_metrics(values, step)

    def log_table(self, name: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Send rows of strings, numbers and PIL images as the table `<name>.json`."""
        if not rows:
            return
        table = {column: [row.get(column) for row in rows] for column in rows[0]}
        self._calls.put(lambda client, run: client.log_table(run, table, f"{name}.json"))

    def log_image(self, name: str, image: Image.Image, step: int) -> None:
        """Send one picture of the series `name`."""
        frozen = image.copy()  # The caller may draw on.
        self._calls.put(
            lambda client, run: client.log_image(run, frozen, key=name, step=step, synchronous=True)
        )

    def log_file(self, path: Path) -> None:
        """Send a file or folder as an artifact; it must stay until the run is finished."""
        send = "log_artifacts" if path.is_dir() else "log_artifact"
        self._calls.put(lambda client, run: getattr(client, send)(run, str(path.absolute())))

    def finish(self, metrics: Mapping[str, float], status: Status) -> None:
        """Send the final metrics and end the run; waits a bounded time for what is left."""
        if self._closing.is_set():
            return
        if metrics:
            self._send_metrics({name: float(value) for name, value in metrics.items()}, 0)
        self._calls.put(lambda client, run: client.set_terminated(run, status))
        self._calls.put(None)
        self._closing.set()
        self._thread.join(self._patience_s)
        if self._thread.is_alive() or self._dropped:
            self._warn("some records did not reach MLflow; results are not affected")

    def _send_metrics(self, values: Mapping[str, float], step: int) -> None:
        now = int(time.time() * 1000)

        def send(client: Any, run: str) -> None:
            from mlflow.entities import Metric

            metrics = [Metric(name, value, now, step) for name, value in values.items()]
            client.log_batch(run, metrics=metrics)

        self._calls.put(send)

    def _ship(self) -> None:
        """Body of the thread: open the run, then do one call after the other."""
        client, started = None, time.monotonic()
        while client is None:
            try:
                client, self._run_id = self._open()
            except Exception as error:
                away = time.monotonic() - started > PATIENCE_S
                if away or self._closing.is_set() or _can_never_work(error):
                    self._dropped += 1
                    self._warn(f"no MLflow run: {_first_line(error)}")
                    return
                self._closing.wait(_PAUSE_S)
            finally:
                if client is not None or self._dropped:
                    self._known.set()
        while (call := self._calls.get()) is not None:
            self._send(call, client)

    def _open(self) -> tuple[Any, str]:
        from mlflow.entities import Param

        if _database(self._uri) is not None:
            prepare_store(self._root)
        client = _client(self._uri)
        experiment = _experiment_id(client, self._root)
        end_dead_runs(client, experiment)
        run = client.create_run(experiment, run_name=self._name, tags=self._tags).info.run_id
        params = [Param(key, str(self._params[key])[:_PARAM_CHARACTERS]) for key in self._params]
        for start in range(0, len(params), _PARAMS_PER_CALL):
            client.log_batch(run, params=params[start : start + _PARAMS_PER_CALL])
        return client, run

    def _send(self, call: _Call, client: Any) -> None:
        while True:
            try:
                call(client, str(self._run_id))
                return
            except Exception as error:
                if _can_never_work(error) or self._closing.is_set():
                    self._dropped += 1
                    self._warn(_first_line(error))
                    return
                self._closing.wait(_PAUSE_S)

    def _warn(self, message: str) -> None:
        print(f"{self._name}: tracking: {message}", file=sys.stderr, flush=True)


def start_run(
    stage: str, params: Mapping[str, object], tags: Mapping[str, str], logs: Path, root: Path
) -> Tracker:
    """Start the run of one stage, below the pipeline's run where there is one."""
    parent = os.environ.get("FINER1_PARENT_RUN")
    nested = {PARENT_TAG: parent} if parent else {}
    return Tracker(stage, params, {**nested, **tags}, logs, root)


def start_pipeline_run(
    name: str, params: Mapping[str, object], root: Path, tags: Mapping[str, str]
) -> Tracker:
    """Start the run that holds the runs of all stages; hand its id on as FINER1_PARENT_RUN."""
    return Tracker(name, params, {"pipeline": name, **tags}, root / "logs" / f"{name}.jsonl", root)


def tracking_uri(root: Path) -> str:
    """Address of the tracking store."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{root.resolve() / 'mlflow.db'}"


def prepare_store(root: Path) -> None:
    """Create the local store and its experiment once, however many processes ask for it.

    Four processes that open a fresh SQLite store at once break it for good, hence the lock.
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
            _load_mlflow()
            _experiment_id(_client(f"sqlite:///{database}"), root)
            with closing(sqlite3.connect(database)) as connection:
                connection.execute("PRAGMA journal_mode=WAL")
        except Exception as error:
            raise RuntimeError(
                f"{database} is no usable MLflow store ({_first_line(error)}); move it away and "
                "run again: a new one is made"
            ) from error


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


def _load_mlflow() -> None:
    """Import mlflow in the caller's thread: imports in two threads at once can deadlock."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _client(uri: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def _experiment_id(client: Any, root: Path) -> str:
    """Id of the project's experiment; created with artifacts in `mlartifacts/` when local."""
    if found := client.get_experiment_by_name(EXPERIMENT):
        return str(found.experiment_id)
    location = (root.resolve() / "mlartifacts").as_uri() if _database(tracking_uri(root)) else None
    return str(client.create_experiment(EXPERIMENT, artifact_location=location))


def _database(uri: str) -> Path | None:
    """The file of a SQLite store, None for a server."""
    scheme, _, path = uri.partition(":///")
    return Path(path) if scheme == "sqlite" else None


def _is_ready(database: Path) -> bool:
    if not database.exists():
        return False
    try:
        with closing(sqlite3.connect(database)) as connection:
            query = "SELECT count(*) FROM experiments WHERE name = ?"
            return bool(connection.execute(query, (EXPERIMENT,)).fetchone()[0])
    except sqlite3.Error:
        return False


def _cut_torn_line(logs: Path) -> None:
    """Drop a last line that a kill left unfinished."""
    if logs.exists():
        content = logs.read_bytes()
        if content and not content.endswith(b"\n"):
            os.truncate(logs, content.rfind(b"\n") + 1)


def _can_never_work(error: Exception) -> bool:
    code = getattr(error, "error_code", None)
    return code in _CAN_NEVER_WORK or isinstance(error, RuntimeError | ValueError | TypeError)


def _first_line(error: Exception) -> str:
    return _PASSWORD.sub("//", (str(error).strip() or type(error).__name__).splitlines()[0][:300])
