"""The work pool of this folder's deployments: processes of one machine, one run at a time."""

from pathlib import Path

from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import (
    DeploymentFilter,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.exceptions import ObjectNotFound
from prefect.workers.process import ProcessWorker

_AT_ONCE = 1
"""Runs of one folder wait for each other."""


def prepare_pool(name: str, root: Path) -> None:
    """Make the work pool when there is none; what a user has set there stays.

    Raises ValueError when its deployments belong to another folder.
    """
    with get_client(sync_client=True) as client:
        try:
            client.read_work_pool(name)
        except ObjectNotFound:
            template = ProcessWorker.get_default_base_job_template()
            client.create_work_pool(
                WorkPoolCreate(
                    name=name,
                    type=ProcessWorker.type,
                    base_job_template=template,
                    concurrency_limit=_AT_ONCE,
                )
            )
            return
        others = _folders(client, name) - {str(root)}
    for other in others:
        raise ValueError(
            f"this Prefect server starts runs in {other}; end it there, or take another --port here"
        )


def _folders(client: SyncPrefectClient, pool: str) -> set[str]:
    """Working folders of the pool's deployments."""
    found = client.read_deployments(
        work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[pool])),
        deployment_filter=DeploymentFilter(),
    )
    return {str(item.job_variables.get("working_dir")) for item in found if item.job_variables}
