"""`finer1 run`: the stages in order, each by `dvc repro --single-item`, one line per stage."""

import errno
import os
import re
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from rapidfuzz import process as fuzzy

from finer1.files import write_atomic
from finer1.params import Params
from flows.dag import Stage, changed_stages, load_stages, with_ancestors, with_followers
from flows.durations import about
from flows.processes import stage_environment, stream
from flows.promoting import promote_after_run
from flows.values import configure, parse_assignments, set_values
from flows.workspace import exit_file, hold, keep_lock_copy, repair
from tasks.exit_codes import BAD_INPUT, FAILED, MACHINE
from tasks.tracking import Tracker, start_pipeline_run

_LOGS = Path("logs")
_LINES_SHOWN = 25
_TOGETHER = {"predict": ("predict", "baseline")}
"""What a user calls by one name, though it is several stages: all models answer the questions."""
_MEMBERS = {
    "pretrain": "pretrain.models",
    "baseline": "predict.models",
    "robustness": "robustness.models",
    "general": "general.models",
    "analysis": "analysis.models",
}
"""Stage -> setting whose entries it is made for, which may be none."""
# A negative status from the process itself; 128 and more from a shell around it.
_ENDED = re.compile(r"failed to run: .*exited with (-?\d+)")


@dataclass(frozen=True)
class Request:
    """What the user asked to run."""

    stages: tuple[str, ...] = ()
    """Empty: all of them."""
    only: bool = False
    """Just these, not the stages that they need."""
    assignments: tuple[str, ...] = ()
    """`key=value`, written to params.yaml first."""
    data_root: Path | None = None
    """Folder of the dataset; stages get it from the environment."""
    verbose: bool = False
    """Print what the stages print."""
    is_held: bool = False
    """The caller holds the folder, and has written the content of `data_root` to params.yaml."""


def run(request: Request, root: Path) -> int:
    """Bring the asked stages up to date; returns the exit code.

    Raises ValueError for bad settings, an unknown stage, or a folder that is in use.
    """
    _check_project(root)
    with nullcontext() if request.is_held else hold(root):
        for sentence in repair(root):
            print(f"repaired: {sentence}")
        data_root = request.data_root.resolve() if request.data_root else None
        params, stages, wanted = _configured(request, data_root, root)
        changed = changed_stages(root) & wanted
        expected = with_followers(stages, changed) & wanted
        if not expected:
            print("everything is up to date (DVC found no changed input, setting or code)")
            return 0
        seconds = sum(stage.seconds for stage in stages if stage.name in expected)
        duration = f"{about(seconds)} on two cores"
        print(f"{len(expected)} of {len(wanted)} stages to bring up to date, {duration}")
        chosen = [stage for stage in stages if stage.name in wanted]
        environ = stage_environment()
        if data_root:
            environ["FINER1_DATA_ROOT"] = str(data_root)
        if _shows_latest_line(request.verbose):
            environ["FINER1_LIVE"] = "1"
        tracker = None
        if "FINER1_PARENT_RUN" not in environ:
            tracker = start_pipeline_run("pipeline", params.model_dump(include={"seed"}), root, {})
            environ["FINER1_PARENT_RUN"] = tracker.key
        return _run_stages(chosen, changed, root, environ, tracker, request.verbose)


def _configured(
    request: Request, data_root: Path | None, root: Path
) -> tuple[Params, list[Stage], set[str]]:
    """The values written, then the graph, which has stages for some of them, and what is wanted.

    Raises ValueError as `run`, and leaves params.yaml as it was.
    """
    path = root / "params.yaml"
    before = path.read_bytes()
    if request.is_held:
        params = set_values(path, parse_assignments(request.assignments))
    else:
        params = configure(path, request.assignments, data_root)
    try:
        stages = load_stages(root)
        return params, stages, _wanted(stages, request)
    except ValueError:
        write_atomic(path, before)
        raise


def failure(code_file: Path, last: Sequence[str]) -> tuple[int, str]:
    """Exit code of a stage that failed under DVC, and a word for it.

    code_file: where the stage left its own code. last: the last lines of DVC's output.
    """
    text = "\n".join(last)
    ended = _ENDED.search(text)
    status = int(ended.group(1)) if ended else 0
    if status < 0 or status > 128:  # Killed; it may have left a code before.
        signal = -status if status < 0 else status - 128
        why = ", likely out of memory" if signal == 9 else ""
        return MACHINE, f"killed (signal {signal}{why})"
    words = {FAILED: "failed", BAD_INPUT: "bad input", MACHINE: "the machine failed"}
    code = int(code_file.read_text(encoding="ascii")) if code_file.exists() else 0
    if code:
        return code, words.get(code, "failed")
    if "missing data 'source'" in text:
        return BAD_INPUT, "an input is missing"
    if os.strerror(errno.ENOSPC) in text or "the disk is full" in text:
        return MACHINE, words[MACHINE]
    return FAILED, words[FAILED]


def _check_project(root: Path) -> None:
    if not (root / "dvc.yaml").exists():
        raise ValueError(f"{root} has no dvc.yaml; change to the project's folder")


def _wanted(stages: Sequence[Stage], request: Request) -> set[str]:
    names = [stage.name for stage in stages]
    asked = {name for given in request.stages for name in _named(given, names)} or set(names)
    return asked if request.only else with_ancestors(list(stages), asked)


def _named(given: str, names: Sequence[str]) -> list[str]:
    """The stages that a user means: one of dvc.yaml, or all `<given>@...`.

    Raises ValueError when there is none.
    """
    if given in names:
        return [given]
    kinds = _TOGETHER.get(given, (given,))
    found = [name for name in names if name.partition("@")[0] in kinds and "@" in name]
    if found:
        return found
    if section := _MEMBERS.get(given):
        raise ValueError(f"there is no stage {given}@...: params.yaml, {section} names no model")
    nearest = fuzzy.extractOne(given, names)[0]
    raise ValueError(f"there is no stage {given}; the nearest one is {nearest}")


def _run_stages(
    stages: Sequence[Stage],
    changed: set[str],
    root: Path,
    environ: dict[str, str],
    tracker: Tracker | None,
    verbose: bool,
) -> int:
    """One stage after the other; a stage with unchanged inputs costs nothing."""
    code, start = 0, time.monotonic()
    rewritten: set[str] = set()
    try:
        for stage in stages:
            if stage.name not in changed and not rewritten.intersection(stage.needs):
                _print_stage(stage.name, 0, "up to date")
                continue
            begin = time.monotonic()
            code, outcome = _run_stage(stage.name, root, environ, verbose)
            _print_stage(stage.name, time.monotonic() - begin, outcome)
            if code:
                break
            if outcome != "up to date":
                rewritten.add(stage.name)
            keep_lock_copy(root)
    except BaseException:
        code = FAILED
        raise
    finally:
        if tracker:
            tracker.finish({}, "FAILED" if code else "FINISHED")
    if "score" in rewritten and not code and (told := promote_after_run(root)):
        print(f"registry: {told}")
    print(f"{'stopped' if code else 'done'} after {_duration(time.monotonic() - start)}")
    return code


def _run_stage(name: str, root: Path, environ: dict[str, str], verbose: bool) -> tuple[int, str]:
    """Exit code and what happened: ran, restored, up to date, or why it failed."""
    code_file = exit_file(root, name)
    code_file.unlink(missing_ok=True)
    log = root / _LOGS / f"{name}.log"
    log.parent.mkdir(exist_ok=True)
    last: deque[str] = deque(maxlen=_LINES_SHOWN)
    seen: set[str] = set()
    show = _shower(name, verbose)
    with log.open("w", encoding="utf-8") as file:

        def take(line: str) -> None:
            file.write(line + "\n")
            file.flush()
            last.append(line)
            seen.update(mark for mark in ("Running stage", "is cached") if mark in line)
            show(line)

        command = [sys.executable, "-m", "dvc", "repro", "--single-item", name]
        status = stream(command, root, {**environ, "FINER1_EXIT_FILE": str(code_file)}, take)
    _clear_line()
    if status == 0:
        return 0, "ran" if "Running stage" in seen else (
            "restored from the DVC cache" if "is cached" in seen else "up to date"
        )
    code, reason = failure(code_file, list(last))
    if not verbose:
        print("\n".join(f"    {line}" for line in last))
    return code, f"{reason} (exit code {code}); all of its output: {log.relative_to(root)}"


def _shower(name: str, verbose: bool) -> Callable[[str], None]:
    """Prints every line, or on a terminal only the latest one in place."""
    if verbose:
        return lambda line: print(f"{name}: {line}", flush=True)
    if not _shows_latest_line(verbose):
        return lambda line: None
    start = time.monotonic()

    def show(line: str) -> None:
        if not line:
            return  # the latest words say more
        width = os.get_terminal_size().columns - 1
        elapsed = _duration(time.monotonic() - start)
        text = f"  {name:<13} {elapsed:>9}  {line.removeprefix(f'{name}: ')}"
        print(f"\r\x1b[K{text[:width]}", end="", flush=True)

    return show


def _shows_latest_line(verbose: bool) -> bool:
    return sys.stdout.isatty() and not verbose


def _clear_line() -> None:
    if sys.stdout.isatty():
        print("\r\x1b[K", end="")


def _print_stage(name: str, seconds: float, outcome: str) -> None:
    print(f"  {name:<13} {_duration(seconds):>9}  {outcome}", flush=True)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.1f} s"
