"""The Prefect flow: every stage of dvc.yaml in order, one task run per stage.

DVC decides whether a stage runs, Prefect when and again: a retried flow run passes over what is
finished, because DVC finds it up to date. Prefect's own cache is off.
"""

import json
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import flow, get_client, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run

from finer1.params import Params, load_params
from finer1.report.table import run_table
from flows.dag import Stage, load_stages
from flows.processes import stage_environment, stream
from flows.values import configure
from flows.workspace import hold, repair
from flows.zombies import end_dead_flow_runs
from tasks.exit_codes import BAD_INPUT, MACHINE
from tasks.tracking import start_pipeline_run

_ERRORS: dict[int, type[Exception]] = {BAD_INPUT: ValueError, MACHINE: OSError}
_RETRY_DELAY_S = 5


def _is_worth_retrying(_task: Any, _run: Any, state: Any) -> bool:
    """Bad input stays bad; everything else may have been the machine."""
    return not isinstance(state.result(raise_on_failure=False), ValueError)


@task(cache_policy=NO_CACHE, retry_condition_fn=_is_worth_retrying, persist_result=False)
def run_stage(name: str, environ: dict[str, str]) -> None:
    """Run one stage; what it prints goes to the log of the task run.

    Raises ValueError for bad input, OSError for trouble of the machine, else RuntimeError.
    """
    logger = get_run_logger()
    command = [sys.executable, "-m", "flows.cli", "run", name, "--only", "--verbose"]
    code = stream(command, Path.cwd(), environ, logger.info)
    if code:
        raise _ERRORS.get(code, RuntimeError)(f"{name} ended with exit code {code}")


@flow(name="pipeline", validate_parameters=False)
def pipeline(assignments: list[str] | None = None, data_root: str | None = None) -> None:
    """Bring every stage up to date.

    Args:
        assignments: values to write to params.yaml first, `key=value`
        data_root: folder of the dataset, for datasets that are read from one
    """
    root = Path.cwd()
    folder = Path(data_root).resolve() if data_root else None
    with get_client(sync_client=True) as client:
        end_dead_flow_runs(client, UUID(flow_run.get_id()), "pipeline")
    with hold(root):
        for sentence in repair(root):
            get_run_logger().info("repaired: %s", sentence)
        params = configure(root / "params.yaml", assignments or [], folder)
        _run_stages(root, folder, params)
    _publish(root)


def _run_stages(root: Path, folder: Path | None, params: Params) -> None:
    """Every stage as a task run, in a folder that is held."""
    flow_id = str(flow_run.get_id())
    environ = {**stage_environment(), "FINER1_FLOW_RUN": flow_id, "FINER1_HELD": "1"}
    if folder:
        environ["FINER1_DATA_ROOT"] = str(folder)
    seed = params.model_dump(include={"seed"})
    tracker = start_pipeline_run("pipeline", seed, root, {"flow_run": flow_id})
    environ["FINER1_PARENT_RUN"] = tracker.key
    status = "FAILED"
    try:
        for stage in load_stages(root):
            _task_of(stage)(stage.name, environ)
        status = "FINISHED"
    finally:
        tracker.finish({}, "FINISHED" if status == "FINISHED" else "FAILED")


def _task_of(stage: Stage) -> Any:
    return run_stage.with_options(
        name=stage.name,
        task_run_name=stage.name,
        retries=stage.retries,
        retry_delay_seconds=_RETRY_DELAY_S,
    )


def _publish(root: Path) -> None:
    """Leave the result table and the way to the report as an artifact of the flow run."""
    params = load_params(root / "params.yaml")
    paths = params.paths
    metrics = root / paths.metrics / "score.json"
    if not metrics.exists():
        return
    table = run_table(params, json.loads(metrics.read_text(encoding="utf-8")))
    report = root / paths.report
    create_markdown_artifact(
        f"```\n{table}\n```\n\nReport: [{report}]({report.as_uri()})",
        key="result",
        description="Accuracy of every model, paired differences, the released rules' figures",
    )
