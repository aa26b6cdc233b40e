"""What surrounds every stage: parameters in, a tracked run around, metrics out.

    python -m tasks.<stage>        exit code 0, 1 failed, 2 bad input, 3 the machine

Started several times by torchrun or accelerate (RANK, WORLD_SIZE), the process of rank 0 alone
tracks, logs and writes; the others run the same body. Only the stage `tapo` can share its work out
like that; any other refuses.

Environment, all optional: FINER1_DATA_ROOT (folder of the datasets), FINER1_HOME (the
project's folder, where the stage runs in a copy of it), FINER1_STORE (what is computed once),
FINER1_RESUME (scratch folders), FINER1_SERVER and FINER1_API_KEY (a teacher's OpenAI-compatible
server), FINER1_EVAL_SERVER and FINER1_EVAL_KEY (that of a model of the zoo), FINER1_VLLM_SERVER (a
vLLM server of our own models, for runtime.engine: vllm_server), FINER1_EXIT_FILE (where the exit
code is written, since DVC hides it), FINER1_LIVE (a reader of the output shows the latest line:
print every one), FINER1_FLOW_RUN (Prefect's id), FINER1_FAULT (a test's fault, finer1/faults.py).
"""

import fcntl
import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from PIL import Image

from finer1 import faults
from finer1.files import write_atomic, write_json
from finer1.lifetime import dying_with_parent
from finer1.params import Params, load_params
from tasks.attempts import Attempts
from tasks.exit_codes import FAILED
from tasks.failures import EXPECTED, judge
from tasks.identity import look_up, stage_entry, stage_key
from tasks.space import check_stage
from tasks.tracking import Tracker, start_run

_VARYING = ("time/", "speed/", "mem/", "check/")
"""Metrics that vary between equal runs: with the machine, or with where a run was continued."""
_SHARED_STAGE = "tapo"
"""The stage that several processes can run together."""


@dataclass(frozen=True)
class Context:
    """What a stage's body is given."""

    params: Params
    stage: str
    resume: Path
    """Scratch folder of this stage and these inputs; survives a kill, goes with success."""
    store: Path
    """Root of what is computed once and kept: generations, embeddings, inspections of images."""
    data_root: Path | None
    """Folder of the datasets, where the user named one."""
    home: Path
    """The project's folder, where paths.raw, paths.own and paths.released are; an experiment's
    copy of the project has none of them."""
    server: str | None
    """Address of an OpenAI-compatible teacher."""
    api_key: str | None
    eval_server: str | None
    """Address of an OpenAI-compatible server with a model of the zoo."""
    eval_key: str | None
    vllm_server: str | None
    """Address of a vLLM server that runs the project's own models."""
    log: Callable[[Mapping[str, float], int], None]
    """Metrics of one step."""
    log_table: Callable[[str, Sequence[Mapping[str, object]]], None]
    log_image: Callable[[str, Image.Image, int], None]
    log_file: Callable[[Path], None]
    is_live: bool
    """Someone reads the latest line of the output; a terminal itself needs no saying."""


Body = Callable[[Context], dict[str, float]]


def main(stage: str, body: Body) -> None:
    """Run a stage as its own process and exit with its code."""
    _report_exit(FAILED)  # holds for a kill and for an exception that is not caught below
    code = _guarded(stage, body)
    _report_exit(code)
    sys.exit(code)


def _report_exit(code: int) -> None:
    exit_file = os.environ.get("FINER1_EXIT_FILE")
    if exit_file and _is_main():
        write_atomic(Path(exit_file), str(code).encode())


def _is_main() -> bool:
    return os.environ.get("RANK", "0") == "0"


def _guarded(stage: str, body: Body) -> int:
    folder = Path.cwd()
    attempts = Attempts(stage, folder, os.environ.get("FINER1_FLOW_RUN", ""))
    said: str | None = "ended by an error that is one of the program; see its output"
    try:
        dying_with_parent()()
        faults.arm(os.environ.get("FINER1_FAULT"))
        _check_processes(stage)
        run_stage(stage, body, folder, attempts)
        said = None
    except EXPECTED as error:
        code, said, has_traceback = judge(error, folder)
        if has_traceback:
            traceback.print_exc()
        print(f"{stage}: {said}", file=sys.stderr)
        return code
    finally:
        if _is_main():
            attempts.end(said)
    return 0


def _check_processes(stage: str) -> None:
    num_processes = int(os.environ.get("WORLD_SIZE", "1"))
    if num_processes > 1 and stage != _SHARED_STAGE:
        raise ValueError(
            f"this stage runs in one process, not in {num_processes}; start it without torchrun "
            f"or accelerate, which only the stage {_SHARED_STAGE} can use"
        )


def run_stage(stage: str, body: Body, folder: Path, attempts: Attempts) -> dict[str, float]:
    """Run `body` in a tracked run; write and return its metrics."""
    params = load_params(folder / "params.yaml")
    is_online = stage == "download" and params.download.asks_the_hub()
    assert "torch" not in sys.modules  # a task imports it inside its body
    settle_libraries(params.runtime.threads, is_online)
    key = stage_key(stage, folder)
    resume_root = Path(os.environ.get("FINER1_RESUME", folder / "models/.resume"))
    resume = resume_root / f"{stage}-{key[:16]}"
    if not _is_main():
        return body(_context(params, stage, resume, _NoTracker()))
    with _owned(resume, stage):
        attempts.key(key)
        check_stage(stage, params, folder)
        logs = resume / "log.jsonl"
        tracker = start_run(
            stage,
            params=_logged_params(params, stage, folder),
            tags={"stage_key": key},
            logs=logs,
            root=folder,
        )
        try:
            metrics = body(_context(params, stage, resume, tracker))
            faults.point("stage:after_body")
            steps = params.paths.logs / f"{stage}.jsonl"
            if str(steps) in stage_entry(stage, folder).get("outs", []):
                _write_log(logs, steps)
            write_json(params.paths.metrics / f"{stage}.json", metrics)
        except BaseException:
            tracker.finish({}, "FAILED")
            raise
        tracker.finish(metrics, "FINISHED")
        faults.point("stage:after_metrics")
    shutil.rmtree(resume)
    return metrics


class _NoTracker:
    def log(self, *args: object) -> None:
        pass

    log_table = log_image = log_file = log


def _context(params: Params, stage: str, resume: Path, tracker: Tracker | _NoTracker) -> Context:
    environ = os.environ
    root = environ.get("FINER1_DATA_ROOT")
    return Context(
        params=params,
        stage=stage,
        resume=resume,
        store=Path(environ.get("FINER1_STORE", "models/.generations")),
        data_root=Path(root) if root else None,
        home=Path(environ.get("FINER1_HOME", "")),
        server=environ.get("FINER1_SERVER"),
        api_key=environ.get("FINER1_API_KEY"),
        eval_server=environ.get("FINER1_EVAL_SERVER"),
        eval_key=environ.get("FINER1_EVAL_KEY"),
        vllm_server=environ.get("FINER1_VLLM_SERVER"),
        log=tracker.log,
        log_table=tracker.log_table,
        log_image=tracker.log_image,
        log_file=tracker.log_file,
        is_live="FINER1_LIVE" in environ,
    )


def _logged_params(params: Params, stage: str, folder: Path) -> dict[str, object]:
    """Values that the stage depends on, of whole sections or single ones, by dotted key."""
    values = params.model_dump(mode="json")
    logged: dict[str, object] = {}
    for name in stage_entry(stage, folder).get("params", []):
        section = look_up(values, name)
        if isinstance(section, dict):
            logged.update({f"{name}.{field}": value for field, value in section.items()})
        else:
            logged[name] = section
    return logged


def _write_log(source: Path, target: Path) -> None:
    """Copy the log with one line per step: a continued stage logs a step again, the same.

    What varies stays out, so that equal runs give equal files; a stage without steps has no lines.
    """
    steps: dict[int, dict[str, float]] = {}
    for line in source.read_text(encoding="utf-8").splitlines() if source.exists() else ():
        item = json.loads(line)
        kept = {k: v for k, v in item["metrics"].items() if not k.startswith(_VARYING)}
        steps.setdefault(item["step"], {}).update(kept)
    lines = [json.dumps({"step": step, "metrics": steps[step]}) for step in sorted(steps)]
    write_atomic(target, "".join(f"{line}\n" for line in lines).encode())


@contextmanager
def _owned(resume: Path, stage: str) -> Iterator[IO[str]]:
    """Hold the scratch folder: two processes writing the same stage would mix their rows."""
    resume.mkdir(parents=True, exist_ok=True)
    with (resume / ".lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise ValueError(
                f"the same {stage} is already running (process {lock.read().strip()}); "
                "wait for it or end it"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield lock


def settle_libraries(threads: int, is_online: bool) -> None:
    """Fix what would otherwise vary with the machine or, unless asked, reach for the network.

    Libraries read these while they are imported: call it before torch is.
    """
    if not is_online and os.environ.setdefault("HF_HUB_OFFLINE", "1") == "1":
        # Without downloads the one bar is that of loading, which would break our own lines.
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # vLLM shares this process, its memory and its threads with the trainer.
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    if threads:
        os.environ["OMP_NUM_THREADS"] = str(threads)
