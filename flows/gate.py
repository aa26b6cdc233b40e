"""A pause for review: a run stops after a stage until a person resumes it in the Prefect UI.

Off by default. A deployed run is suspended, which frees its process and its folder, and starts
again when it is resumed: what is done is up to date. A run without a deployment waits in place.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import yaml
from prefect import get_run_logger, pause_flow_run, suspend_flow_run
from prefect.exceptions import PrefectHTTPStatusError
from prefect.input import RunInput
from prefect.input.actions import delete_flow_run_input, read_flow_run_input
from prefect.input.run_input import Keyset, keyset_from_base_key
from prefect.runtime import deployment
from pydantic import Field

from flows.artifacts import artifact_key

_A_WEEK_S = 7 * 24 * 3600


class Approval(RunInput):
    """What the person says who resumes the run."""

    decision: Literal["go on", "stop"] = Field("go on", description="stop fails the run here")
    note: str = Field("", description="why; kept in the log of the run")


def wait_for_approval(stage: str, root: Path) -> None:
    """Pause the flow run after `stage` until a person has said to go on.

    What was said once about the same outputs holds, also when the run is retried.
    Raises ValueError when the person says to stop.
    """
    key = pause_key(stage, _lock_entry(stage, root))
    words = f"{stage} is done. Look at what it made, then say whether the run goes on."
    form = Approval.with_initial_data(description=words)
    given = _given_before(key)
    if given is None and deployment.get_id():
        given = suspend_flow_run(form, timeout=_A_WEEK_S, key=key)
    elif given is None:
        given = pause_flow_run(form, timeout=_A_WEEK_S, key=key)
    if given.decision == "stop":
        _forget(key)
    check_approval(stage, given, get_run_logger().info)


def check_approval(stage: str, given: Approval, say: Callable[[str], None]) -> None:
    """Note what the person said. Raises ValueError when that is to stop."""
    note = f": {given.note}" if given.note else ""
    if given.decision == "stop":
        raise ValueError(
            f"stopped after {stage} by its reviewer{note}; change what was wrong and run again"
        )
    say(f"{stage}: approved{note}")


def pause_key(stage: str, entry: object) -> str:
    """Key of the pause after `stage` with these outputs: other outputs are asked about again."""
    content = hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()
    return f"after-{artifact_key(stage)}-{content[:12]}"


def next_part(
    names: Sequence[str], done: Collection[str], pauses: Collection[str]
) -> tuple[list[str], str | None]:
    """The stages to run until the next pause, and the one that is then reviewed; None at the end.

    names: all stages of the run, in order. done: those that it has passed.
    """
    left = [name for name in names if name not in done]
    for place, name in enumerate(left):
        if name in pauses:
            return left[: place + 1], name
    return left, None


def _given_before(key: str) -> Approval | None:
    """The approval of an earlier attempt of this run."""
    for keyset in _keysets(key):
        value: Any = read_flow_run_input(keyset["response"])
        if value and Approval(**value).decision == "go on":
            return Approval(**value)
    return None


def _forget(key: str) -> None:
    """Let a retry of the run ask again: Prefect keeps one answer to a key."""
    for keyset in _keysets(key):
        for name in keyset.values():
            with suppress(PrefectHTTPStatusError):  # There is but one of the two.
                delete_flow_run_input(name)


def _keysets(key: str) -> list[Keyset]:
    return [keyset_from_base_key(f"{state}-{key}") for state in ("suspended", "paused")]


def _lock_entry(stage: str, root: Path) -> object:
    lock = yaml.safe_load((root / "dvc.lock").read_text(encoding="utf-8"))
    return lock["stages"][stage].get("outs")
