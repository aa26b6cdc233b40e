"""Brings one journal to the tracking store, in order; sending a record twice changes nothing.

A run is known by the tag `run_key`, metrics keep the time at which they were logged, and files
have names that follow from their content: where an answer was lost, or a kill came between, the
same is sent again and lands on itself.
"""

import json
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from tasks.tracking.journal import Entry, Journal
from tasks.tracking.pictures import small_copy
from tasks.tracking.registry import send_model
from tasks.tracking.store import PARENT_TAG, shown_uri

KEY_TAG = "run_key"
_METRICS_PER_CALL, _PER_CALL = 1000, 100  # Limits of MLflow.
_NAME_CHARACTERS, _CHARACTERS = 250, 6000
_NOT_IN_A_NAME = re.compile(r"[^/\w.\- :]")
_TABLES_TAG, _IMAGES_TAG = "mlflow.loggedArtifacts", "mlflow.loggedImages"
_TAG_CHARACTERS = 8000
_SAVED_EVERY = 20


class NotYet(Exception):
    """What a record needs is not in the store, and comes with another journal."""


class Gone(Exception):
    """The run was deleted in MLflow, where nothing can be added to it any more."""


class Sender:
    """Sends what a journal holds, and remembers in it how far that has come."""

    def __init__(self, journal: Journal, uri: str, has_journal: Callable[[str], bool]) -> None:
        """`uri`: of the store. `has_journal`: whether the run of a key still has a journal."""
        self._journal = journal
        self._uri = shown_uri(uri)
        self._has_journal = has_journal
        self._waiting: list[Entry] = []
        self._num_read = self._sent = 0
        self._is_checked = False
        self.run_id: str | None = None
        self.is_ended = False
        known = journal.read_sent()
        if known.get("uri") == self._uri:
            self.run_id, self._sent = known["run_id"], known["records"]

    def num_waiting(self) -> int:
        """Records that the store does not have yet."""
        self._read()
        return len(self._waiting)

    def send(self, client: Any, experiment: str, should_stop: Callable[[], bool]) -> None:
        """Send what is there.

        Raises whatever the client raises, NotYet, or Gone; what was sent until then stays sent.
        """
        try:
            self._check(client)
            self._read()
            self._send_waiting(client, experiment, should_stop)
        except Exception:
            self._is_checked = False  # The run may have been deleted meanwhile.
            raise

    def end_killed(self, client: Any) -> None:
        """End a run whose process was killed."""
        if not self.is_ended and self.run_id is not None:
            client.set_terminated(self.run_id, "KILLED")

    def _send_waiting(self, client: Any, experiment: str, should_stop: Callable[[], bool]) -> None:
        before = self._sent
        try:
            for count in self._groups():
                self._send_group(client, experiment, self._waiting[:count])
                del self._waiting[:count]
                self._sent += count
                if (self._sent - before) % _SAVED_EVERY == 0:
                    self._save()
                if should_stop():
                    break
        finally:
            if self._sent > before:
                self._save()

    def _read(self) -> None:
        for entry in self._journal.read():
            if self._num_read >= self._sent + len(self._waiting):
                self._waiting.append(entry)
            self._num_read += 1
            self.is_ended = self.is_ended or entry["kind"] == "end"

    def _save(self) -> None:
        sent = {"uri": self._uri, "run_id": self.run_id, "records": self._sent}
        self._journal.write_sent(sent)

    def _check(self, client: Any) -> None:
        """The run that an earlier process has opened is still there; else begin anew."""
        from mlflow.exceptions import MlflowException

        if self._is_checked or self.run_id is None:
            return
        try:
            run = client.get_run(self.run_id)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            self.run_id, self._num_read, self._sent = None, 0, 0
            self._waiting.clear()
            self._journal.rewind()
            return
        if run.info.lifecycle_stage == "deleted":
            raise Gone
        self._is_checked = True

    def _groups(self) -> Iterator[int]:
        """How many of the records that wait go together, as long as any wait."""
        while self._waiting:
            count, metrics = 1, 0
            if self._waiting[0]["kind"] == "metrics":
                count = 0
                for entry in self._waiting:
                    metrics += len(entry.get("values", ()))
                    if entry["kind"] != "metrics" or (count and metrics > _METRICS_PER_CALL):
                        break
                    count += 1
            yield count

    def _send_group(self, client: Any, experiment: str, group: list[Entry]) -> None:
        kind = group[0]["kind"]
        if kind == "start":
            self._open(client, experiment, group[0])
        elif kind == "metrics":
            self._send_metrics(client, group)
        else:
            _SENDING[kind](client, str(self.run_id), self._journal.folder, group[0])

    def _open(self, client: Any, experiment: str, start: Entry) -> None:
        """Find the run, or create it, below its parent; then its parameters."""
        from mlflow.entities import Param

        run = find_run(client, experiment, start["key"])
        if run is None:
            above = self._parent(client, experiment, start)
            tags = {**start["tags"], KEY_TAG: start["key"], **above}
            made = client.create_run(
                experiment, start_time=start["time"], tags=tags, run_name=start["name"]
            )
            run = client.get_run(made.info.run_id)
            if run.data.tags.get(KEY_TAG) != start["key"]:  # A server may answer anything.
                raise RuntimeError("the server answered with another run than the one it made")
        if run.info.lifecycle_stage == "deleted":
            raise Gone
        self.run_id, self._is_checked = str(run.info.run_id), True
        params = [
            Param(_allowed(key), str(value)[:_CHARACTERS]) for key, value in start["params"].items()
        ]
        for first in range(0, len(params), _PER_CALL):
            client.log_batch(self.run_id, params=params[first : first + _PER_CALL])

    def _parent(self, client: Any, experiment: str, start: Entry) -> dict[str, str]:
        key = start.get("parent")
        if not key:
            return {}
        parent = find_run(client, experiment, key)
        if parent is None and self._has_journal(key):
            raise NotYet(f"the run above {start['name']} is not in MLflow yet")
        return {PARENT_TAG: parent.info.run_id} if parent else {}

    def _send_metrics(self, client: Any, group: list[Entry]) -> None:
        from mlflow.entities import Metric

        metrics = [
            Metric(_allowed(name), value, entry["time"], entry["step"])
            for entry in group
            for name, value in entry["values"].items()
        ]
        for first in range(0, len(metrics), _METRICS_PER_CALL):
            client.log_batch(self.run_id, metrics=metrics[first : first + _METRICS_PER_CALL])


def _allowed(name: str) -> str:
    """The name of a metric or parameter as MLflow takes it."""
    return _NOT_IN_A_NAME.sub("_", name)[:_NAME_CHARACTERS]


def find_run(client: Any, experiment: str, key: str) -> Any:
    """The run with a key, also a deleted one; None when the store has none."""
    from mlflow.entities import ViewType

    found = client.search_runs([experiment], f"tags.{KEY_TAG} = '{key}'", ViewType.ALL, 1)
    return found[0] if found else None


def _send_artifact(client: Any, run: str, folder: Path, entry: Entry) -> None:
    path, target = folder / entry["file"], entry["to"]
    if path.is_dir():
        client.log_artifacts(run, str(path), target)
    else:
        client.log_artifact(run, str(path), target)


def _send_image(client: Any, run: str, folder: Path, entry: Entry) -> None:
    picture = folder / entry["file"]
    _put(client, run, f"{entry['stem']}.png", picture.read_bytes())
    _put(client, run, f"{entry['stem']}+compressed.webp", small_copy(picture))
    client.set_tag(run, _IMAGES_TAG, True)


def _send_table(client: Any, run: str, folder: Path, entry: Entry) -> None:
    for stem, file in entry["pictures"].items():
        _put(client, run, f"{stem}.png", (folder / file).read_bytes())
        _put(client, run, f"{stem}.webp", small_copy(folder / file))
    _put(client, run, entry["path"], (folder / entry["file"]).read_bytes())
    tables = json.loads(client.get_run(run).data.tags.get(_TABLES_TAG, "[]"))
    tables += [{"path": entry["path"], "type": "table"}]
    text = json.dumps(tables)
    # Cut to the limit it would be no JSON; without the tag the table is still an artifact.
    if tables[-1] not in tables[:-1] and len(text) <= _TAG_CHARACTERS:
        client.set_tag(run, _TABLES_TAG, text)


def _send_inputs(client: Any, run: str, folder: Path, entry: Entry) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    inputs = [
        DatasetInput(
            Dataset(item["name"], item["digest"], "local", json.dumps({"uri": item["name"]})),
            [InputTag("mlflow.data.context", "input")],
        )
        for item in entry["inputs"]
    ]
    client.log_inputs(run, inputs)


def _send_end(client: Any, run: str, folder: Path, entry: Entry) -> None:
    client.set_terminated(run, entry["status"], entry["time"])


def _put(client: Any, run: str, path: str, content: bytes) -> None:
    """Log bytes as the artifact `path`."""
    target = PurePosixPath(path)
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / target.name
        file.write_bytes(content)
        folder = str(target.parent) if target.parent.name else None
        client.log_artifact(run, str(file), folder)


_SENDING: dict[str, Callable[[Any, str, Path, Entry], None]] = {
    "artifact": _send_artifact,
    "image": _send_image,
    "table": _send_table,
    "inputs": _send_inputs,
    "model": send_model,
    "end": _send_end,
}
