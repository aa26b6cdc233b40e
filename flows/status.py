"""`finer1 status`: what each stage's state is, what came of the last attempt, what to do next."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from tasks.attempts import Attempt

_WIDTH = 13
_LINES_READ = 4096

State = Literal["done", "stale", "running", "failed"]


@dataclass(frozen=True)
class StageStatus:
    """What is known of a stage."""

    stage: str
    state: State
    why: str
    """Why it is stale: an input or setting has changed, it never ran, it follows one that will
    run. What it failed with."""
    seconds: float | None
    """How long it took; None where that is not known, as of what came from DVC's cache."""
    pid: int | None
    """While it runs."""
    since: str | None
    """When the latest attempt began, in local time."""
    line: str | None
    """The last line of its output while it runs: how far it is, and the time left."""
    log: str | None
    mlflow_run: str | None
    """Address on a tracking server; id in the local store."""
    flow_run: str | None
    """Of Prefect."""


def status(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """Say of each stage whether it is done, stale, running or failed, and what to do next.

    Example: finer1 status
    """
    root = Path.cwd()
    found, following = project_status(root)
    if as_json:
        print(json.dumps({"stages": [asdict(item) for item in found], "next": following}, indent=2))
        return
    print("= dvc status, and the last attempt at each stage")
    for item in found:
        print("\n".join(lines_of(item)))
    if any(item.state == "running" for item in found):
        print("wait, or follow the logs: finer1 run refuses until what runs has ended")
    if following:
        print(f"next: {following}")


def project_status(root: Path) -> tuple[list[StageStatus], str | None]:
    """The state of every stage, and the command that comes next.

    None when all is done, and while a stage runs: no command may come then.

    Raises ValueError when there is no project or when a killed run has left it unreadable.
    """
    from flows.dag import changed_stages, is_readable_lock, load_stages, with_followers
    from flows.durations import about
    from flows.processes import as_typed

    command = as_typed("finer1 run", root)
    if not (root / "dvc.yaml").exists():
        raise ValueError(f"{root} has no dvc.yaml; change to the project's folder")
    lock = root / "dvc.lock"
    if lock.exists() and not is_readable_lock(lock):
        raise ValueError(f"{lock} is unreadable; {command} repairs it")
    stages = load_stages(root)
    changed = changed_stages(root)
    expected = with_followers(stages, changed)
    found = _stage_statuses([stage.name for stage in stages], changed, expected, root)
    if not expected or any(item.state == "running" for item in found):
        return found, None
    seconds = sum(stage.seconds for stage in stages if stage.name in expected)
    return found, f"{command}, {about(seconds)} on two cores"


def lines_of(item: StageStatus) -> list[str]:
    """What is printed of a stage: a line, and for what runs or failed the lines to go on from."""
    took = "" if item.seconds is None else _duration(item.seconds)
    rest = item.why if item.state != "failed" else ""
    if item.state == "running":
        rest = f"process {item.pid} since {item.since}"
    first = f"  {item.stage:<{_WIDTH}} {item.state:<8}{took:>11}  {rest}".rstrip()
    lines = [first]
    if item.state == "running" and item.line:
        lines.append(f"      {item.line}")
    if item.state == "failed":
        lines.append(f"      {item.why}")
    if item.state in ("running", "failed") and item.log:
        lines.append(f"      log: {item.log}")
    if item.mlflow_run:
        lines.append(f"      MLflow run {item.mlflow_run}")
    return lines


def _stage_statuses(
    names: list[str], changed: set[str], expected: set[str], root: Path
) -> list[StageStatus]:
    from tasks.attempts import latest_attempt
    from tasks.tracked import tracked_runs

    keys = {name: _locked_key(name, root) for name in names}
    attempts = {name: latest_attempt(name, root) for name in names}
    wanted = {key for key in keys.values() if key}
    wanted |= {attempt.stage_key for attempt in attempts.values() if attempt}
    runs = tracked_runs(wanted, root)
    found = []
    for name in names:
        attempt, key = attempts[name], keys[name]
        state, why = _state(name, attempt, changed, expected, has_run=key is not None)
        is_latest = attempt is not None and (state in ("running", "failed"))
        shown = attempt.stage_key if attempt and is_latest else key
        took = attempt.seconds if attempt and attempt.stage_key == key else None
        log = Path("logs") / f"{name}.log"
        has_log = (root / log).is_file()
        found.append(
            StageStatus(
                stage=name,
                state=state,
                why=why,
                seconds=took if state == "done" else None,
                pid=attempt.pid if attempt and state == "running" else None,
                since=attempt.since if attempt else None,
                line=_progress(root / log, attempt) if has_log and state == "running" else None,
                log=str(log) if has_log else None,
                mlflow_run=runs.get(shown or ""),
                flow_run=(attempt.flow_run or None) if attempt else None,
            )
        )
    return found


def _state(
    name: str, attempt: "Attempt | None", changed: set[str], expected: set[str], has_run: bool
) -> tuple[State, str]:
    if attempt is not None and attempt.is_alive:
        return "running", ""
    if name not in expected:
        return "done", ""
    if attempt is not None and attempt.outcome == "failed":
        return "failed", attempt.said
    if attempt is not None and attempt.outcome == "running":
        return "failed", f"was killed (process {attempt.pid} of {attempt.since} is gone)"
    if name not in changed:
        return "stale", "after a stage that will run"
    return "stale", "an input, setting or output has changed" if has_run else "never ran"


def _locked_key(name: str, root: Path) -> str | None:
    from tasks.identity import locked_key

    try:
        return locked_key(name, root)
    except (FileNotFoundError, KeyError):
        return None


def _progress(log: Path, attempt: "Attempt | None") -> str | None:
    """The last line of a log of this attempt: `finer1 run` alone writes one, a bare stage none."""
    try:
        begun = datetime.fromisoformat(attempt.since).timestamp() if attempt else None
    except ValueError:
        return None
    return _last_line(log) if begun is not None and log.stat().st_mtime >= begun else None


def _last_line(log: Path) -> str | None:
    """The last words that a process has printed; a line that is rewritten in place counts."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _LINES_READ))
        text = file.read().decode("utf-8", errors="replace")
    lines = [line.strip() for line in text.replace("\r", "\n").splitlines()]
    return next((line for line in reversed(lines) if line), None)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.1f} s"
