"""What a flow run leaves in the Prefect UI: a table and links per stage, progress, a summary.

Their content is made by plain functions. Nothing here can fail a run: a server that does not
answer costs a line in the log.
"""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from prefect import get_run_logger
from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.exceptions import PrefectException

from finer1.params import load_params
from finer1.report.table import run_table
from flows.processes import as_typed
from flows.progress_lines import Step
from tasks.tracking import tracking_uri
from tasks.tracking.store import shown_uri

_MLFLOW_UI = "http://127.0.0.1:5000"
"""Where `mlflow ui` serves a store that is a file."""
_RUN_LINE = re.compile(r"(?:^|: )(?P<stage>[\w@]+): MLflow run (?P<run>[0-9a-f]{32})$")


@dataclass(frozen=True)
class Outcome:
    """What became of one stage in a flow run."""

    stage: str
    what: str
    """ran, restored from the DVC cache, up to date."""
    seconds: float
    mlflow_run: str | None
    """Id of the run that made its outputs; None when it did not run now."""


def find_mlflow_run(line: str) -> str | None:
    """The id in a stage's line about its MLflow run; None for any other line."""
    found = _RUN_LINE.search(line)
    return found["run"] if found else None


def mlflow_link(run: str, root: Path) -> str:
    """Address of an MLflow run: at the tracking server, or where `mlflow ui` will serve the file.

    The pages of a run, such as that of its artifacts, have addresses with the experiment's id.
    """
    uri = tracking_uri(root)
    server = uri if uri.startswith(("http://", "https://")) else _MLFLOW_UI
    return f"{shown_uri(server).rstrip('/')}/#/runs/{run}"


def stage_rows(outcome: Outcome, metrics: Mapping[str, float]) -> list[dict[str, Any]]:
    """Rows of a stage's table: what happened, then its counts and metrics as it wrote them."""
    first: list[dict[str, Any]] = [
        {"what": "outcome", "value": outcome.what},
        {"what": "seconds", "value": round(outcome.seconds, 1)},
    ]
    return first + [
        {"what": name, "value": round(value, 6) if isinstance(value, float) else value}
        for name, value in metrics.items()
    ]


def summary_markdown(
    table: str | None, outcomes: Sequence[Outcome], links: Mapping[str, str]
) -> str:
    """The page at the end of a run: results, stages, where to look.

    table: the result table as text; None where nothing has been scored.
    """
    lines = ["| stage | outcome | time |", "|---|---|---|"]
    lines += [f"| {item.stage} | {item.what} | {item.seconds:.1f} s |" for item in outcomes]
    result = f"```\n{table}\n```\n\n" if table else ""
    where = "".join(f"- {name}: {address}\n" for name, address in links.items())
    return f"{result}{chr(10).join(lines)}\n\n{where}"


def publish_stage(outcome: Outcome, root: Path) -> None:
    """Leave the table of a stage, and the link to its MLflow run, beside its task run."""
    folder = root / load_params(root / "params.yaml").paths.metrics
    key = artifact_key(outcome.stage)
    with harmless():
        create_table_artifact(
            stage_rows(outcome, _read_metrics(folder / f"{outcome.stage}.json")),
            key=f"stage-{key}",
            description=f"{outcome.stage}: counts and metrics",
        )
        if outcome.mlflow_run:
            create_link_artifact(
                mlflow_link(outcome.mlflow_run, root),
                link_text=f"{outcome.stage} in MLflow",
                key=f"mlflow-{key}",
                description=_how_to_see(root),
            )


def publish_summary(outcomes: Sequence[Outcome], root: Path, run: str | None) -> None:
    """Leave results, stages and links as an artifact of the flow run.

    run: the MLflow run of the whole.
    """
    params = load_params(root / "params.yaml")
    scores = _read_metrics(root / params.paths.metrics / "score.json")
    report = root / params.paths.report
    links = {"report": f"`{report}`"} if report.exists() else {}
    reported = [item.mlflow_run for item in outcomes if item.stage == "report" and item.mlflow_run]
    if reported:
        address = mlflow_link(reported[0], root)
        links["run with the report as artifact"] = address
        with harmless():
            create_link_artifact(
                address,
                link_text="run with the report as artifact",
                key="report",
                description=_how_to_see(root),
            )
    if run:
        links["MLflow"] = f"{mlflow_link(run, root)} ({_how_to_see(root)})"
    table = run_table(params, scores) if scores else None
    with harmless():
        create_markdown_artifact(
            summary_markdown(table, outcomes, links),
            key="result",
            description="Accuracy of every model, paired differences, the released rules' figures",
        )


def progress_sender(name: str) -> Callable[[Step], None]:
    """A call that shows a step as the progress of the stage or experiment `name`."""
    made: list[Any] = []

    def send(step: Step) -> None:
        with harmless():
            if made:
                update_progress_artifact(made[0], step.percent, step.words)
            else:
                key = f"progress-{artifact_key(name)}"
                made.append(create_progress_artifact(step.percent, key, step.words))

    return send


def artifact_key(name: str) -> str:
    """`name` in the characters that Prefect allows: small letters, digits, dashes."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


@contextmanager
def harmless() -> Iterator[None]:
    """Turn a failure of the Prefect server in the block into a line of the log."""
    try:
        yield
    except (httpx.HTTPError, PrefectException, OSError) as error:
        get_run_logger().warning("no artifact: %s", str(error) or type(error).__name__)


def _how_to_see(root: Path) -> str:
    if os.environ.get("MLFLOW_TRACKING_URI", "").startswith("http"):
        return "opens the tracking server"
    command = "mlflow ui --backend-store-uri sqlite:///mlflow.db"
    return f"opens after: {as_typed(command, root)}"


def _read_metrics(path: Path) -> dict[str, float]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
