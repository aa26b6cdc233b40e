"""The latest attempt at each stage, in a small file that `finer1 status` reads.

    logs/<stage>.json       who runs or ran it, since when, what came of it

Nothing is decided by it, and a disk that takes it not stops no stage.
"""

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from finer1.files import write_json
from tasks.origin import is_alive, process_tags

FOLDER = Path("logs")
_SEE = "its output says why"


@dataclass(frozen=True)
class Attempt:
    """What is known of an attempt."""

    process: Mapping[str, str]
    """As of tasks.origin.process_tags."""
    since: str
    """Local time, for people; durations are measured otherwise."""
    stage_key: str = ""
    """Of tasks.identity; empty until it is known."""
    flow_run: str = ""
    outcome: Literal["running", "done", "failed"] = "running"
    said: str = ""
    """The sentence that it failed with."""
    seconds: float = 0.0
    """How long it took, once it has ended."""

    @property
    def pid(self) -> int:
        """Of its process."""
        return int(self.process["pid"])

    @property
    def is_alive(self) -> bool:
        """True while it runs, on this machine."""
        return self.outcome == "running" and is_alive(self.process)


class Attempts:
    """The attempt of this process, kept up to date on disk."""

    def __init__(self, stage: str, folder: Path, flow_run: str, is_kept: bool = True) -> None:
        """Begin. folder: of the project. flow_run: of Prefect, empty without. is_kept: false in
        one of several processes, whose parent keeps it."""
        self._is_kept = is_kept
        self._path = path_of(stage, folder)
        self._start = time.monotonic()
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        self._attempt = Attempt(process_tags(), now, flow_run=flow_run)

    def key(self, stage_key: str) -> None:
        """The inputs are known, and the stage begins."""
        self._keep(replace(self._attempt, stage_key=stage_key))

    def end(self, code: int, said: str) -> None:
        """It has ended with an exit code; `said`: why, where it failed."""
        seconds = round(time.monotonic() - self._start, 3)
        outcome: Literal["done", "failed"] = "failed" if code else "done"
        self._keep(
            replace(self._attempt, outcome=outcome, said=said or _SEE * bool(code), seconds=seconds)
        )

    def _keep(self, attempt: Attempt) -> None:
        self._attempt = attempt
        if not self._is_kept:
            return
        with suppress(OSError):
            write_json(self._path, asdict(attempt))


def path_of(stage: str, folder: Path) -> Path:
    """The file of a stage's latest attempt."""
    return folder / FOLDER / f"{stage}.json"


def latest_attempt(stage: str, folder: Path) -> Attempt | None:
    """What is known of the latest attempt at a stage; None when nothing is."""
    try:
        content = json.loads(path_of(stage, folder).read_text(encoding="utf-8"))
        return TypeAdapter(Attempt).validate_python(content)
    except (OSError, ValueError, ValidationError):
        return None
