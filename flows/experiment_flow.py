"""The Prefect flow over experiments: `python -m flows.experiments` with its runs as artifacts.

What is done with the same inputs is not made again, so that a retried flow run goes on.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run
from pydantic import Field

from flows.artifacts import artifact_key, harmless, progress_sender
from flows.choices import ExperimentName, SettingName
from flows.processes import stage_environment, stream
from flows.progress_lines import Reporter, Step
from flows.stage_task import error_of
from flows.turns import hold_in_turn
from flows.updating import start_flow_run, turn_sayer

_NUM_RUNS = re.compile(r"^(\d+) runs(?:, (\d+) of them done)?")
_RUN = re.compile(r"^  (?P<run>\S+) +(?P<seconds>\d+) s  (?P<outcome>\S.*)$")
_TABLE = re.compile(r"^table +(?P<path>\S.*\.md)$")


@flow(name="experiments", validate_parameters=False)
def experiments(
    names: tuple[ExperimentName, ...],
    setting: SettingName | None = None,
    seeds: tuple[int, ...] = (),
    jobs: Annotated[int, Field(ge=1)] = 1,
    again: bool = False,
    data_root: str = "",
) -> None:
    """Run entries of params.yaml's experiments side by side and compare them.

    Args:
        names: the experiments; groups, which are tables of the paper, stand first
        setting: a full-scale setting, which comes first
        seeds: instead of the experiments' own
        jobs: experiments at once
        again: also those that are done with the same inputs
        data_root: folder of the datasets
    """
    start_flow_run()
    root = Path.cwd()
    words = command_words(names, setting, seeds, jobs, again, data_root)
    with hold_in_turn(root, turn_sayer()):
        run_command.with_options(task_run_name="-".join(names))(words, root)


def command_words(
    names: Sequence[str],
    setting: str | None,
    seeds: Sequence[int],
    jobs: int,
    again: bool,
    data_root: str,
) -> list[str]:
    """Arguments of `python -m flows.experiments`. Raises ValueError without a name."""
    if not names:
        raise ValueError("choose at least one experiment")
    words = [*names, "--jobs", str(jobs)]
    words += ["--on", setting] if setting else []
    words += ["--seeds", ",".join(map(str, seeds))] if seeds else []
    words += ["--root", data_root] if data_root else []
    return [*words, "--again"] if again else words


@task(name="experiments", cache_policy=NO_CACHE, persist_result=False)
def run_command(words: Sequence[str], root: Path) -> None:
    """Run the experiments; their runs become a table and a progress, their tables pages.

    Raises ValueError for bad input, OSError for trouble of the machine, else RuntimeError.
    """
    logger, listener = get_run_logger(), Listener()
    reporter = Reporter(progress_sender("experiments"))

    def take(line: str) -> None:
        logger.info(line)
        if step := listener.take(line):
            reporter.show(step)

    command = [sys.executable, "-m", "flows.experiments", *words]
    try:
        code = stream(command, root, _environment(), take)
    finally:
        reporter.close()
    _publish(listener, root)
    if code:
        raise error_of(code)(f"the experiments ended with exit code {code}")


class Listener:
    """What the lines of `flows.experiments` say: the runs that have ended, and the tables."""

    def __init__(self) -> None:
        self.rows: list[dict[str, object]] = []
        """One per ended run: its name, seconds and outcome."""
        self.tables: list[Path] = []
        """Files with a table in Markdown."""
        self._total = 0

    def take(self, line: str) -> Step | None:
        """Note a line; returns how far the runs have come when it says so."""
        if found := _NUM_RUNS.match(line):
            self._total = int(found[1]) - int(found[2] or 0)
        elif found := _TABLE.match(line):
            self.tables.append(Path(found["path"]))
        elif found := _RUN.match(line):
            row = {"run": found["run"], "seconds": int(found["seconds"])}
            self.rows.append({**row, "outcome": found["outcome"]})
            done, total = len(self.rows), max(self._total, len(self.rows))
            return Step(100 * done / total, f"{done}/{total} runs", done == total)
        return None


def _environment() -> dict[str, str]:
    """Of the command, for which this flow run holds the folder."""
    run = {"FINER1_FLOW_RUN": str(flow_run.get_id()), "FINER1_HELD": "1"}
    return {**stage_environment(), **run}


def _publish(listener: Listener, root: Path) -> None:
    with harmless():
        if listener.rows:
            create_table_artifact(
                listener.rows, key="experiment-runs", description="runs that were made now"
            )
        for path in listener.tables:
            text = (root / path).read_text(encoding="utf-8")
            create_markdown_artifact(text, key=f"table-{artifact_key(path.stem)}")
