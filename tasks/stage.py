"""What surrounds every stage: parameters in, a tracked run around, metrics out.

    python -m tasks.<stage>        exit code 0, 1 failed, 2 bad input, 3 the machine

Of the several processes of a stage (tasks/launching.py), that of rank 0 alone tracks, logs and
writes; the others run the same body.

Environment, all optional: FINER1_DATA_ROOT (folder of the datasets), FINER1_HOME (the
project's folder, where the stage runs in a copy of it), FINER1_STORE (what is computed once),
FINER1_RESUME (scratch folders), FINER1_SERVER and FINER1_API_KEY (a teacher's OpenAI-compatible
server), FINER1_EVAL_SERVER and FINER1_EVAL_KEY (that of a model of the zoo), FINER1_VLLM_SERVER (a
vLLM server of our own models, for runtime.engine: vllm_server), FINER1_EXIT_FILE (where the exit
code is written, since DVC hides it), FINER1_FLOW_RUN (Prefect's id), FINER1_FAULT (a test's fault,
finer1/faults.py), FINER1_LIVE (a reader of the output shows the latest line: print every one).
"""

import fcntl
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from PIL import Image
from safetensors import SafetensorError

from finer1 import faults
from finer1.files import write_atomic, write_json
from finer1.inspection.findings import shown_lines
from finer1.lifetime import dying_with_parent
from finer1.params import Params, load_params
from finer1.telemetry import TELEMETRY_OFF
from tasks.attempts import Attempts
from tasks.exit_codes import FAILED
from tasks.faults import judge
from tasks.identity import keyed_inputs, look_up, stage_entry, stage_key
from tasks.launching import (
    end_without_parent,
    is_launched,
    is_shared_out,
    launch,
    rank,
    report,
    this_node,
)
from tasks.space import check_stage
from tasks.tracking import Tracker, start_run

_VARYING = ("time/", "speed/", "mem/", "check/")
"""Metrics that vary between equal runs: with the machine, or with where a run was continued."""


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
    log_model: Callable[[Path, Mapping[str, object]], None]
    """The folder of a trained model, and how it is asked, for the registry."""
    is_live: bool
    """Someone reads the latest line of the output; a terminal itself needs no saying."""


Body = Callable[[Context], dict[str, float]]


def main(stage: str, body: Body) -> None:
    """Run a stage as its own process and exit with its code."""
    _report_exit(FAILED)  # holds for a kill and for an exception that is not caught below
    folder, flow_run = Path.cwd(), os.environ.get("FINER1_FLOW_RUN", "")
    is_first = rank() == 0 and os.environ.get("NODE_RANK", "0") == "0"
    attempts = Attempts(stage, folder, flow_run, is_kept=is_first and not is_launched())
    code, sentence = FAILED, "ended by an error of the program; see its output"
    try:
        code, sentence = _guarded(stage, body, attempts)
    finally:
        attempts.end(code, sentence)
    if sentence and (rank() == 0 or not is_launched()):
        print(f"{stage}: {shown_lines(sentence)}", file=sys.stderr)
    _report_exit(code, sentence)
    sys.exit(code)


def _report_exit(code: int, sentence: str = "") -> None:
    """Leave the code for the parent; where the disk has no room, the process's own code tells."""
    exit_file = os.environ.get("FINER1_EXIT_FILE")
    if is_launched():
        with suppress(OSError):
            report(code, sentence)
    elif exit_file and rank() == 0:
        try:
            write_atomic(Path(exit_file), str(code).encode())
        except OSError:
            # On a full disk a byte still takes the place of another.
            with suppress(OSError), Path(exit_file).open("r+b") as file:
                file.write(str(code).encode())


def _guarded(stage: str, body: Body, attempts: Attempts) -> tuple[int, str]:
    """The exit code, and what to say of an error."""
    try:
        dying_with_parent()()
        end_without_parent()
        faults.arm(os.environ.get("FINER1_FAULT"))
        return _start_stage(stage, body, Path.cwd(), attempts), ""
    except (ValueError, OSError, MemoryError, RuntimeError, SafetensorError) as error:
        return judge(error)


def _start_stage(stage: str, body: Body, folder: Path, attempts: Attempts) -> int:
    """Run the stage here, or in processes that runtime.launcher asks for; the exit code."""
    runtime = load_params(folder / "params.yaml").runtime
    if not is_shared_out(stage, runtime.launcher):
        run_stage(stage, body, folder, attempts)
        return 0
    settle_libraries(runtime.threads, is_online=False)
    node = this_node(runtime.launcher)
    key = stage_key(stage, folder)
    attempts.key(key)
    scratch = _scratch(stage, key, folder)
    with _owned(scratch, stage) if node.rank == 0 else nullcontext():
        return launch(stage, runtime.launcher, node, runtime.device)


def _scratch(stage: str, key: str, folder: Path) -> Path:
    root = Path(os.environ.get("FINER1_RESUME", folder / "models/.resume"))
    return root / f"{stage}-{key[:16]}"


def run_stage(stage: str, body: Body, folder: Path, attempts: Attempts) -> dict[str, float]:
    """Run `body` in a tracked run; write and return its metrics."""
    params = load_params(folder / "params.yaml")
    is_online = stage == "download" and params.download.asks_the_hub()
    assert "torch" not in sys.modules  # a task imports it inside its body
    settle_libraries(params.runtime.threads, is_online)
    key, inputs = keyed_inputs(stage, folder)
    resume = _scratch(stage, key, folder)
    if rank() > 0:
        return body(_context(params, stage, resume, _NoTracker()))
    with nullcontext() if is_launched() else _owned(resume, stage):
        attempts.key(key)
        check_stage(stage, params, folder, resume)
        logs = resume / "log.jsonl"
        tracker = start_run(
            stage,
            params=_logged_params(params, stage, folder),
            tags={"stage_key": key},
            logs=logs,
            root=folder,
        )
        tracker.log_inputs(inputs)
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
        if run := tracker.run_id():
            print(f"{stage}: MLflow run {run}", flush=True)
    shutil.rmtree(resume)
    return metrics


class _NoTracker:
    def log(self, *args: object) -> None:
        pass

    log_table = log_image = log_file = log_model = log


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
        log_model=tracker.log_model,
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
    os.environ.update(TELEMETRY_OFF)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if "RAY_ADDRESS" not in os.environ:
        # Ray has loopback alone where it starts no cluster; else it listens on all addresses.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # vLLM shares this process, its memory and its threads with the trainer.
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    if threads:
        os.environ["OMP_NUM_THREADS"] = str(threads)
