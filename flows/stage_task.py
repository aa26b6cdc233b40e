"""One stage as a Prefect task: `finer1 run STAGE --only` in a process of its own."""

import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.artifacts import Outcome, find_mlflow_run, progress_sender, publish_stage
from flows.dag import Stage
from flows.processes import stream
from flows.progress_lines import Reporter, Step
from tasks.exit_codes import BAD_INPUT, MACHINE

UP_TO_DATE = "up to date"
_ERRORS: dict[int, type[Exception]] = {BAD_INPUT: ValueError, MACHINE: OSError}
_RETRY_DELAY_S = 5
_RESULT_LINE = re.compile(r"^  \S+ +[\d.]+ .*?s  (ran|restored from the DVC cache|up to date)$")


def run_task(stage: Stage, is_expected: bool, environ: Mapping[str, str], root: Path) -> Outcome:
    """Run a stage as a task run of its own, which ends at once when it is not expected to run.

    Raises ValueError for bad input, OSError for trouble of the machine, else RuntimeError.
    """
    if not is_expected:
        pass_over.with_options(name=stage.name, task_run_name=stage.name)(return_state=True)
        return Outcome(stage.name, UP_TO_DATE, 0.0, None)
    own = run_stage.with_options(
        name=stage.name,
        task_run_name=stage.name,
        retries=stage.retries,
        retry_delay_seconds=_RETRY_DELAY_S,
    )
    return own(stage.name, dict(environ), root)


def error_of(code: int) -> type[Exception]:
    """What a flow raises for the exit code of a command of this project."""
    return _ERRORS.get(code, RuntimeError)


def is_worth_retrying(_task: Any, _run: Any, state: Any) -> bool:
    """Bad input stays bad; everything else may have been the machine."""
    return not isinstance(state.result(raise_on_failure=False), ValueError)


@task(cache_policy=NO_CACHE, persist_result=False)
def pass_over() -> State[None]:
    """End as a stage does that has nothing to do."""
    return Completed(message="no changed input, setting or code", name="UpToDate")


@task(cache_policy=NO_CACHE, retry_condition_fn=is_worth_retrying, persist_result=False)
def run_stage(name: str, environ: dict[str, str], root: Path) -> Outcome:
    """Run one stage; what it prints goes to the log of the task run, its progress to the UI.

    Raises ValueError for bad input, OSError for trouble of the machine, else RuntimeError.
    """
    logger, start = get_run_logger(), time.monotonic()
    command = [sys.executable, "-m", "flows.cli", "run", name, "--only", "--verbose"]
    outcome, mlflow_run = UP_TO_DATE, None
    reporter = Reporter(progress_sender(name))

    def take(line: str) -> None:
        nonlocal outcome, mlflow_run
        if found := _RESULT_LINE.match(line):
            outcome = found.group(1)
        mlflow_run = find_mlflow_run(line) or mlflow_run
        if reporter.take(line):
            logger.info(line)

    try:
        code = stream(command, root, {**environ, "FINER1_LIVE": "1"}, take)
        if not code and reporter.has_shown:
            reporter.show(Step(100.0, f"{name}: done", True))
    finally:
        reporter.close()
    if code:
        raise error_of(code)(f"{name} ended with exit code {code}")
    done = Outcome(name, outcome, time.monotonic() - start, mlflow_run)
    publish_stage(done, root)
    return done
