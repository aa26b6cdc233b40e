"""Flow runs whose process was killed: marked Crashed, so that they can be retried.

Prefect leaves a run Running for ever when its process is killed together with its worker
(PrefectHQ/prefect#16746), and such a run keeps its place in the work pool. The next run looks for
them at its start, and `flows.deploy` as long as it is up.
"""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Crashed

from finer1.lifetime import dying_with_parent
from tasks.origin import has_lost_starter, is_alive, process_birth, process_tags

FLOWS = ("pipeline", "stage", "experiments", "evaluate")
"""The flows of this project."""
_START_S = 300.0
"""Within it a worker has started a process for a run."""
_MOVING = (StateType.RUNNING, StateType.CANCELLING, StateType.PENDING, StateType.PAUSED)


def label_flow_run(client: SyncPrefectClient, own: UUID) -> None:
    """Label the flow run `own` with this process; one that a worker started dies with its worker.

    Without its worker a run could not be cancelled any more. Raises OSError when that died before.
    """
    if "PREFECT__FLOW_RUN_ID" in os.environ:
        dying_with_parent()()
        if has_lost_starter(os.environ):
            raise OSError("the worker that started this run is gone; retry the run")
    attempt = str(client.read_flow_run(own).run_count)
    client.update_flow_run_labels(own, {**process_tags(), "attempt": attempt})


def end_dead_flow_runs(client: SyncPrefectClient) -> list[str]:
    """End the runs of the project's flows whose process on this machine is gone; a line of each."""
    ended = []
    moving = FlowRunFilterStateType(any_=list(_MOVING))
    for run in client.read_flow_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=list(FLOWS))),
        flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=moving)),
    ):
        labels = {name: str(value) for name, value in run.labels.items()}
        if run.state and is_dead(run, labels, datetime.now(UTC)):
            with suppress(ObjectNotFound):  # deleted since it was read
                end = _end_of(run.state)
                client.set_flow_run_state(run.id, end, force=True)
                ended.append(f"marked as {end.type.value.lower()}: {run.name}")
    return ended


def is_dead(run: FlowRun, labels: Mapping[str, str], now: datetime) -> bool:
    """Whether no process works for a run that is not at rest.

    labels: those of the process of its last start, or of an earlier one while the present one has
    not come to labelling the run. A suspended run has no process and needs none; when it is resumed
    it gets one without its attempt being counted, which the number of the worker's process tells.
    """
    state = run.state
    if state is None or state.name == "Suspended":
        return False
    if labels.get("host", socket.gethostname()) != socket.gethostname():
        return False
    if is_alive(labels):
        return False
    pid = (run.infrastructure_pid or "").rpartition(":")[2]
    is_last = labels.get("attempt") == str(run.run_count) and pid in ("", labels.get("pid"))
    if state.type != StateType.PENDING and is_last:
        return True
    has_process = pid.isdigit() and process_birth(int(pid)) is not None
    return not has_process and (now - state.timestamp).total_seconds() > _START_S


def _end_of(state: State) -> State:
    if state.type == StateType.CANCELLING:
        return Cancelled(message="its process is gone")
    return Crashed(message="its process was killed")
