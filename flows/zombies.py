"""Flow runs that a kill left in the state Running: marked Crashed by the next one."""

import socket
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.states import Crashed

from tasks.origin import is_alive, process_tags


def end_dead_flow_runs(client: SyncPrefectClient, own: UUID, flow: str) -> None:
    """Label the flow run `own` with its process; end runs of `flow` whose process is gone.

    Prefect leaves a run Running for ever when its process is killed (PrefectHQ/prefect#16746).
    """
    client.update_flow_run_labels(own, {**process_tags()})
    running = FlowRunFilterStateType(any_=[StateType.RUNNING])
    for run in client.read_flow_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=[flow])),
        flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=running)),
    ):
        labels = {name: str(value) for name, value in run.labels.items()}
        if labels.get("host") == socket.gethostname() and not is_alive(labels):
            client.set_flow_run_state(run.id, Crashed(message="its process was killed"), force=True)
