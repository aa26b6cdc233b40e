"""A stage in several processes, which accelerate starts from the stage's own (runtime.launcher).

That one stays their parent: it holds the scratch folder, takes them with it when it is killed, and
ends with their exit code. Each of them runs the stage's body; the one of rank 0 tracks and writes.

Environment: RANK and WORLD_SIZE (set by accelerate or torchrun); for several nodes NODE_RANK,
MASTER_ADDR and MASTER_PORT (docs/scale.md). FINER1_LAUNCHER and FINER1_REPORTS pass between the
parent and its processes: its number, and the folder where they leave their exit codes.
"""

import json
import logging
import os
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from finer1.files import write_json
from finer1.model_params import LauncherParams
from tasks.exit_codes import FAILED, MACHINE
from tasks.origin import has_lost_starter

SHARED_STAGES = ("sft", "tapo")
"""The stages that several processes can run together."""
_CONFIGURATIONS = Path("setup/accelerate")


@dataclass(frozen=True)
class Node:
    """This machine among those of a run."""

    rank: int = 0
    address: str = "127.0.0.1"
    """Of the machine of rank 0."""
    port: int = 0
    """Where it listens; 0 takes a free one, on a single machine."""


@dataclass(frozen=True)
class _Report:
    """How a process ended."""

    code: int
    sentence: str = ""


def rank() -> int:
    """The place of this process among those that run the stage; 0 for one alone."""
    return int(os.environ.get("RANK", "0"))


def is_launched() -> bool:
    """True in a process whose parent, the stage's first process, holds the scratch folder."""
    return os.environ.get("FINER1_LAUNCHER", own := str(os.getpid())) != own


def end_without_parent() -> None:
    """End this process if what launched it, or what started its `dvc repro`, is gone already.

    To be called once it dies with its parent (finer1/lifetime.py), which a parent that went before
    does not bring about.
    """
    is_orphan = is_launched() and os.getppid() != int(os.environ["FINER1_LAUNCHER"])
    if is_orphan or has_lost_starter(os.environ):
        sys.exit(FAILED)


def report(code: int, sentence: str = "") -> None:
    """Leave the exit code of a launched process, and why, for its parent."""
    path = Path(os.environ["FINER1_REPORTS"]) / f"{rank()}.json"
    write_json(path, {"code": code, "sentence": sentence})


def is_shared_out(stage: str, launcher: LauncherParams) -> bool:
    """True where this process is to start others that run the stage.

    Raises ValueError when several were started of a stage that runs in one.
    """
    num_processes = int(os.environ.get("WORLD_SIZE", "1"))
    if num_processes > 1 and stage not in SHARED_STAGES:
        raise ValueError(
            f"this stage runs in one process, not in {num_processes}; start it without torchrun or "
            f"accelerate, which only the stages {' and '.join(SHARED_STAGES)} can use"
        )
    return launcher.strategy != "none" and stage in SHARED_STAGES and "RANK" not in os.environ


def this_node(launcher: LauncherParams) -> Node:
    """This machine among runtime.launcher.nodes.

    Raises ValueError when the environment does not say which it is and how to meet the others.
    """
    if launcher.nodes == 1:
        return Node()
    names = ("NODE_RANK", "MASTER_ADDR", "MASTER_PORT")
    missing = [name for name in names if not os.environ.get(name)]
    if missing:
        raise ValueError(
            f"runtime.launcher.nodes is {launcher.nodes}: set {', '.join(missing)} (the number of "
            "this machine from 0 on, address and free port of machine 0) and start the stage on "
            "every machine, or set it to 1"
        )
    number, address, port = (os.environ[name] for name in names)
    if not (number.isdecimal() and int(number) < launcher.nodes and port.isdecimal()):
        raise ValueError(
            f"NODE_RANK is {number} and MASTER_PORT {port}; the first must be a number from 0 to "
            f"{launcher.nodes - 1}, the second that of a port"
        )
    return Node(int(number), address, int(port))


def launch(stage: str, launcher: LauncherParams, node: Node, device: str) -> int:
    """Run the stage in several processes of this machine; their exit code.

    What made one of them fail is printed unless process 0 has done so. Raises ValueError when they
    cannot run here.
    """
    _check_machine(launcher, device)
    with tempfile.TemporaryDirectory(prefix="finer1-") as folder:
        os.environ |= {"FINER1_LAUNCHER": str(os.getpid()), "FINER1_REPORTS": folder}
        killed = _start(launcher, node)
        reports = {
            int(path.stem): _Report(**json.loads(path.read_text(encoding="utf-8")))
            for path in Path(folder).glob("*.json")
        }
    if killed is not None:
        print(f"{stage}: {killed}", file=sys.stderr)
        return MACHINE
    said = reports[0].sentence if 0 in reports else ""
    for sentence in {item.sentence: None for _, item in sorted(reports.items())}:
        if sentence not in ("", said):
            print(f"{stage}: {sentence}", file=sys.stderr)
    return max((item.code for item in reports.values()), default=FAILED)


def _check_machine(launcher: LauncherParams, device: str) -> None:
    import torch

    num_gpus = torch.cuda.device_count() if device != "cpu" and torch.cuda.is_available() else 0
    if num_gpus and launcher.processes > num_gpus:
        raise ValueError(
            f"runtime.launcher.processes is {launcher.processes}, one per GPU, and this machine "
            f"has {num_gpus}; lower it"
        )
    if not num_gpus and launcher.strategy != "ddp":
        raise ValueError(
            f"runtime.launcher.strategy is {launcher.strategy}, which spreads the model over GPUs, "
            "and there is none; set it to ddp or none"
        )


def _start(launcher: LauncherParams, node: Node) -> str | None:
    """Start the processes and wait; a sentence if the first to fail was killed.

    A signal that ends this process ends them, too, and then itself by that signal.
    """
    from accelerate.commands.launch import launch_command, launch_command_parser
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    words = [
        "--config_file", str(_CONFIGURATIONS / f"{launcher.strategy}.yaml"),
        "--num_processes", str(launcher.processes * launcher.nodes),
        "--num_machines", str(launcher.nodes),
        "--machine_rank", str(node.rank),
        "--main_process_ip", node.address,
        "--main_process_port", str(node.port),
        "--same_network",
        # The trainers say what they compute in; elsewhere a GPU's bfloat16 would be taken up.
        "--mixed_precision", "no",
        *_own_words(),
    ]  # fmt: skip
    logging.disable(logging.ERROR)  # torch's own account of a failure, after ours
    try:
        launch_command(launch_command_parser().parse_args(words))
    except ChildFailedError as error:
        number, failure = error.get_first_failure()
        if failure.exitcode < 0:
            name = signal.Signals(-failure.exitcode).name
            return f"process {number} of {launcher.processes} was killed ({name})"
    except SignalException as error:
        signal.signal(error.sigval, signal.SIG_DFL)
        os.kill(os.getpid(), error.sigval)
    return None


def _own_words() -> list[str]:
    """How this process was started: a module, or a script."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return [sys.argv[0], *sys.argv[1:]] if spec is None else ["-m", spec.name, *sys.argv[1:]]
