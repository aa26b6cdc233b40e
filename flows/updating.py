"""A flow run over stages: which of them, in turn with other runs, with its pauses and artifacts."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from prefect import get_client, get_run_logger
from prefect.exceptions import Pause
from prefect.runtime import deployment, flow_run

from finer1.params import Params
from flows.artifacts import Outcome, publish_summary
from flows.dag import Stage, changed_stages, load_stages, with_ancestors
from flows.gate import next_part, wait_for_approval
from flows.processes import stage_environment
from flows.stage_task import UP_TO_DATE, run_task
from flows.turns import hold_in_turn
from flows.values import configure
from flows.workspace import keep_lock_copy, repair
from flows.zombies import end_dead_flow_runs, label_flow_run
from tasks.tracking import Status, Tracker, start_pipeline_run


@dataclass(frozen=True)
class Request:
    """What a flow run is asked for."""

    assignments: Sequence[str]
    """`key=value`, written to params.yaml first."""
    data_root: str = ""
    """Folder of the datasets; empty for none."""
    stages: Sequence[str] | None = None
    """None: all of them."""
    only: bool = False
    """Just these, not the stages that they need."""
    kinds: frozenset[str] | None = None
    """What stands before the @ of the stages' names; None: anything."""
    pauses: frozenset[str] = frozenset()
    """Stages after which the run pauses."""


@dataclass
class _Progress:
    """What a flow run has come to."""

    outcomes: list[Outcome] = field(default_factory=list)
    tracker: Tracker | None = None


def bring_up_to_date(request: Request, root: Path) -> None:
    """Run the asked stages that are not up to date, each as a task run of the current flow run.

    Raises ValueError for bad settings or an unknown stage, and as run_task does.
    """
    start_flow_run()
    folder = Path(request.data_root).resolve() if request.data_root else None
    done = _Progress()
    reviewed: str | None = ""
    with ExitStack() as tracked:
        while reviewed is not None:
            with hold_in_turn(root, turn_sayer()):
                _repair(root)
                # Again after a pause: another run may have written other values meanwhile.
                params = configure(root / "params.yaml", request.assignments, folder)
                stages = chosen_stages(load_stages(root), request)
                names = [stage.name for stage in stages]
                passed = {outcome.stage for outcome in done.outcomes}
                part, reviewed = next_part(names, passed, request.pauses)
                changed = changed_stages(root)
                if done.tracker is None and changed.intersection(part):
                    done.tracker = tracked.enter_context(_tracked(params, root))
                chosen = [stage for stage in stages if stage.name in part]
                done.outcomes += _run_part(chosen, changed, _environment(folder, done), root)
            if reviewed:
                wait_for_approval(reviewed, root)
    publish_summary(done.outcomes, root, done.tracker.run_id() if done.tracker else None)


def start_flow_run() -> None:
    """Label this flow run with its process and end the runs of killed ones."""
    with get_client(sync_client=True) as client:
        label_flow_run(client, UUID(flow_run.get_id()))
        for line in end_dead_flow_runs(client):
            get_run_logger().info(line)


def turn_sayer() -> Callable[[str], None] | None:
    """What a run that finds the folder in use does: a deployed one says so and waits."""
    return get_run_logger().info if deployment.get_id() else None


def chosen_stages(stages: Sequence[Stage], request: Request) -> list[Stage]:
    """The stages that are asked for, in order. Raises ValueError for a name that there is not."""
    names = {stage.name for stage in stages}
    asked = names if request.stages is None else set(request.stages)
    for name in sorted({*asked, *request.pauses} - names):
        raise ValueError(f"there is no stage {name}; the stages are {', '.join(sorted(names))}")
    if request.kinds is not None:
        asked = {name for name in asked if name.partition("@")[0] in request.kinds}
    wanted = asked if request.only else with_ancestors(list(stages), asked)
    return [stage for stage in stages if stage.name in wanted]


def _run_part(
    stages: Sequence[Stage], changed: set[str], environ: dict[str, str], root: Path
) -> list[Outcome]:
    """Every stage as a task run, in a folder that is held."""
    outcomes: list[Outcome] = []
    for stage in stages:
        rewritten = {outcome.stage for outcome in outcomes if outcome.what != UP_TO_DATE}
        is_expected = stage.name in changed or bool(rewritten.intersection(stage.needs))
        outcomes.append(run_task(stage, is_expected, environ, root))
        keep_lock_copy(root)
    return outcomes


def _repair(root: Path) -> None:
    for sentence in repair(root):
        get_run_logger().info("repaired: %s", sentence)


def _environment(folder: Path | None, done: _Progress) -> dict[str, str]:
    environ = {
        **stage_environment(),
        "FINER1_FLOW_RUN": str(flow_run.get_id()),
        "FINER1_PARENT_RUN": done.tracker.key if done.tracker else "",
        "FINER1_HELD": "1",
    }
    return {**environ, "FINER1_DATA_ROOT": str(folder)} if folder else environ


@contextmanager
def _tracked(params: Params, root: Path) -> Iterator[Tracker]:
    """An MLflow run around the stages.

    A run that is suspended ends it: when it goes on, the rest gets one of its own.
    """
    tags = {"flow_run": str(flow_run.get_id())}
    tracker = start_pipeline_run("pipeline", params.model_dump(include={"seed"}), root, tags)
    status: Status = "FAILED"
    try:
        yield tracker
        status = "FINISHED"
    except Pause:
        status = "FINISHED"
        raise
    finally:
        tracker.finish({}, status)
