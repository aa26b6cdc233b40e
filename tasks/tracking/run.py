"""The run of a stage: recorded in its journal at once, brought to the store by a thread.

Nothing that happens to the store can change a result: one that is away costs at most `PATIENCE_S`
seconds over the whole run, and what did not reach it stays in the journal for `finer1 sync`.
"""

import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from tasks.origin import origin_tags
from tasks.tracking.journal import Journal, cut_torn_line, journals_folder, new_journal
from tasks.tracking.pictures import journal_image, journal_table
from tasks.tracking.registry import journal_model
from tasks.tracking.sender import Gone, Sender
from tasks.tracking.store import (
    end_dead_runs,
    first_line,
    is_local,
    load_mlflow,
    open_store,
    tracking_uri,
)
from tasks.tracking.sync import has_journal, send_left_behind
from tasks.tracking.system import SystemSampler

PATIENCE_S = 5.0
_LOCAL_PATIENCE_S = 180.0  # A file is never away: other processes hold it, or make it just now.
_PAUSE_S, _LAST_PAUSE_S = 2.0, 0.2
_REST_S = 30.0
"""Pause between looks at what other runs left behind."""

Status = Literal["FINISHED", "FAILED"]


class Tracker:
    """One MLflow run: its methods write to the journal, and a thread sends what is there.

    `run_id` and `finish` wait for the store as long as patience is left; `log_file` and
    `log_model` read, hash and copy what they are given.
    """

    def __init__(
        self, name: str, journal: Journal, key: str, logs: Path | None, root: Path
    ) -> None:
        """`key`: names the run before any store knows it. `logs`: a file for metrics by step."""
        self.key = key
        self._name = name
        self._journal = journal
        self._logs = logs
        self._root = root
        uri = tracking_uri(root)
        self._patience_s = _LOCAL_PATIENCE_S if is_local(uri) else PATIENCE_S
        self._sender = Sender(journal, uri, lambda key: has_journal(root, key))
        self._sampler: SystemSampler | None = None
        self._clears_up = False
        self._mutex = threading.Lock()
        self._is_closed = False
        self._status: Status = "FAILED"
        self._changed = threading.Event()
        self._known = threading.Event()
        self._closing = threading.Event()
        self._deadline = 0.0
        self._trouble = ""
        load_mlflow()
        self._thread = threading.Thread(target=self._ship, name="tracking", daemon=True)

    def run_id(self) -> str | None:
        """Id of the MLflow run; None when the store does not answer within what patience is left.

        Who only wants to name the run has `key`, which needs no store.
        """
        with self._waiting() as seconds:
            self._known.wait(seconds)
        return self._sender.run_id

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Record the metrics of one step."""
        values = {name: float(value) for name, value in metrics.items()}
        if self._logs is not None:
            self._logs.parent.mkdir(parents=True, exist_ok=True)
            with self._logs.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": step, "metrics": values}) + "\n")
        self.log_apart(values, step)

    def log_apart(self, metrics: Mapping[str, float], step: int) -> None:
        """Record metrics that are no part of the stage's log."""
        self._record(lambda: self._journal.append("metrics", step=step, values=dict(metrics)))

    def log_table(self, name: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Record rows of strings, numbers and PIL images as the table `<name>.json`."""
        if rows:
            self._record(lambda: journal_table(self._journal, name, rows))

    def log_image(self, name: str, image: Image.Image, step: int) -> None:
        """Record one picture of the series `name`."""
        now = self._journal.now()
        self._record(lambda: journal_image(self._journal, name, image, step, now))

    def log_file(self, path: Path, folder: str | None = None) -> None:
        """Record a file or folder as it is now, as an artifact, below `folder` if any."""

        def attach() -> None:
            self._journal.append("artifact", file=self._journal.attach(path), to=folder)

        self._record(attach)

    def log_inputs(self, inputs: Mapping[str, str]) -> None:
        """Record what the run reads: name -> hash of its content."""
        if inputs:
            named = [{"name": name, "digest": digest} for name, digest in inputs.items()]
            self._record(lambda: self._journal.append("inputs", inputs=named))

    def log_model(self, folder: Path, asking: Mapping[str, object]) -> None:
        """Record the run's model for the registry; asking: how it is asked when it is served."""
        self._record(lambda: journal_model(self._journal, folder, asking))

    def watch_system(self) -> None:
        """Record what the machine does, until the run ends."""
        self._sampler = SystemSampler(self.log_apart)

    def start(self, clears_up: bool) -> "Tracker":
        """Begin to send; clears_up: also what other runs have left behind."""
        self._clears_up = clears_up
        self._thread.start()
        return self

    def finish(self, metrics: Mapping[str, float], status: Status) -> None:
        """Record the final metrics and the end; wait for the store as long as patience is left."""
        if self._closing.is_set():
            return
        if self._sampler:
            self._sampler.stop()
        if metrics:
            self.log_apart({name: float(value) for name, value in metrics.items()}, 0)
        self._status = status
        self._close()
        with suppress(OSError):  # Also when the records ended before, for want of space.
            self._journal.append("end", status=status)
        if self._trouble:  # None is left for what has never answered.
            patience = PATIENCE_S if self._known.is_set() else 0.0
            self._patience_s = min(self._patience_s, patience)
        self._deadline = time.monotonic() + self._patience_s
        self._closing.set()
        self._changed.set()
        with self._waiting() as seconds:
            self._thread.join(seconds)
        if self._thread.is_alive() or self._trouble:
            why = f" ({self._trouble})" if self._trouble else ""
            self._warn(
                f"not all of the run is in MLflow{why}; it is kept, and `finer1 sync` brings it "
                "there; results are not affected"
            )

    @contextmanager
    def _waiting(self) -> Iterator[float]:
        """The patience that is left; what the block takes is used up."""
        start = time.monotonic()
        yield self._patience_s
        self._patience_s = max(self._patience_s - (time.monotonic() - start), 0.0)

    def _record(self, write: Callable[[], None]) -> None:
        """What goes wrong with the journal ends the records, not the run."""
        with self._mutex:
            if self._is_closed:
                return
            try:
                write()
            except (OSError, ValueError) as error:
                self._is_closed = True
                self._warn(f"the run's records end here: {error}; results are not affected")
        self._changed.set()

    def _close(self) -> None:
        """Take no more records, such as the sampler's last."""
        with self._mutex:
            self._is_closed = True

    def _ship(self) -> None:
        """Body of the thread: send what is there, wait for more."""
        store: tuple[Any, str] | None = None
        while True:
            self._changed.clear()
            is_last = self._closing.is_set()
            try:
                if store is None:
                    store = open_store(self._root)
                    end_dead_runs(*store)
                self._sender.send(*store, lambda: False)
                self._trouble = ""
                self._known.set()
                if is_last:
                    if not self._sender.is_ended:
                        now = self._journal.now()
                        store[0].set_terminated(self._sender.run_id, self._status, now)
                    self._journal.remove()
                    return
                if self._clears_up:
                    send_left_behind(self._root, store, self._closing.is_set)
                self._changed.wait(_REST_S if self._clears_up else None)
            except Gone:
                self._close()
                self._warn("the run was deleted in MLflow; nothing more of it is recorded")
                self._known.set()
                self._journal.remove()
                return
            except Exception as error:
                self._trouble = first_line(error)
                if is_last and time.monotonic() > self._deadline:
                    self._journal.close()
                    return
                if is_last:
                    time.sleep(_LAST_PAUSE_S)
                self._closing.wait(_PAUSE_S)

    def _warn(self, message: str) -> None:
        _warn(self._name, message)


def _warn(name: str, message: str) -> None:
    print(f"{name}: tracking: {message}", file=sys.stderr, flush=True)


def start_run(
    stage: str, params: Mapping[str, object], tags: Mapping[str, str], logs: Path, root: Path
) -> Tracker:
    """Start the run of one stage, below the pipeline's run where there is one."""
    cut_torn_line(logs)
    parent = os.environ.get("FINER1_PARENT_RUN")
    tracker = _tracker(stage, params, tags, parent, logs, root)
    tracker.watch_system()
    return tracker.start(clears_up=False)


def start_pipeline_run(
    name: str,
    params: Mapping[str, object],
    root: Path,
    tags: Mapping[str, str],
    parent: str | None = None,
) -> Tracker:
    """Start the run that holds the runs of all stages; hand its key on as FINER1_PARENT_RUN."""
    tracker = _tracker(name, params, {"pipeline": name, **tags}, parent, None, root)
    return tracker.start(clears_up=True)


def _tracker(
    name: str,
    params: Mapping[str, object],
    tags: Mapping[str, str],
    parent: str | None,
    logs: Path | None,
    root: Path,
) -> Tracker:
    start = {
        "params": {key: str(value) for key, value in params.items()},
        "tags": {**origin_tags(root, os.environ), **tags},
        "parent": parent or None,
    }
    try:
        journal, key = new_journal(journals_folder(root), name, start)
    except OSError as error:
        folder = Path(tempfile.mkdtemp(prefix="finer1-tracking-"))
        _warn(
            name,
            f"{error}; the run's journal is in {folder}, and `finer1 sync` does not see what is "
            f"left there before it is moved to {journals_folder(root)}; results are not affected",
        )
        journal, key = new_journal(folder, name, start)
    return Tracker(name, journal, key, logs, root)
