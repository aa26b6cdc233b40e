"""What the Prefect UI needs, all of it on this machine, until Ctrl-C.

    python -m flows.deploy                 server, deployments, worker, and a look-out
    python -m flows.deploy --register      make the deployments known and return

The server is that of PREFECT_API_URL, or one that already answers on the port, or a new one. The
worker takes the runs that the UI starts, one at a time. The look-out starts a server or worker of
this command again that has died, and marks runs as crashed whose process was killed.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import yaml

from finer1.inspection.findings import shown_lines
from finer1.lifetime import dying_with_parent
from flows.pipeline import settle_prefect
from flows.processes import as_typed
from tasks.exit_codes import BAD_INPUT, FAILED, MACHINE
from tasks.origin import STARTER

_FILE = "prefect.yaml"
_START_S = 900.0
_LOOK_S = 5.0
_END_S = 45.0
"""Time for a worker to end its runs."""


def main(arguments: list[str]) -> int:
    """Register, then serve until Ctrl-C; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m flows.deploy",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=4200, help="of the server; 4200")
    parser.add_argument("--register", action="store_true", help="only make the deployments known")
    options = parser.parse_args(arguments)
    try:
        return _serve(Path.cwd(), options.port, options.register)
    except (ValueError, OSError) as error:
        print(f"deploy: {shown_lines(error)}", file=sys.stderr)
        return BAD_INPUT if isinstance(error, ValueError) else MACHINE


def _serve(root: Path, port: int, only_register: bool) -> int:
    if not (root / _FILE).exists():
        raise ValueError(f"{root} has no {_FILE}; change to the project's folder")
    settle_prefect(root)
    is_theirs = "PREFECT_API_URL" in os.environ
    api = os.environ.setdefault("PREFECT_API_URL", f"http://127.0.0.1:{port}/api")
    # The deployments' working folder (prefect.yaml), as a shell would have it.
    os.environ["PWD"] = str(root)
    children = Children(root)
    try:
        if not is_prefect(api):
            if is_theirs or only_register:
                raise ConnectionError(f"no Prefect server answers at {api}; start it first")
            children.start("server", server_command(port))
            children.wait_until(lambda: is_prefect(api), _START_S)
        code = register(root)
        if code or only_register:
            return code
        children.start("worker", worker_command(pool_name(root)))
        print(f"open      {api.removesuffix('/api')}/deployments   (Ctrl-C ends it)", flush=True)
        _look_out(children)
    except KeyboardInterrupt:
        print("ending")
    finally:
        children.end()
    return 0


def server_command(port: int) -> list[str]:
    """A Prefect server for this machine alone."""
    return [sys.executable, "-m", "flows.prefect_server", str(port)]


def worker_command(pool: str) -> list[str]:
    """A worker that runs each flow run as a process of this machine."""
    words = ["worker", "start", "--pool", pool, "--type", "process", "--name", pool]
    return [sys.executable, "-m", "prefect", *words]


def pool_name(root: Path) -> str:
    """The work pool of the deployments."""
    return str(read_deployments(root)[0]["work_pool"]["name"])


def read_deployments(root: Path) -> list[dict[str, Any]]:
    """The deployments of prefect.yaml."""
    return list(yaml.safe_load((root / _FILE).read_text(encoding="utf-8"))["deployments"])


def is_prefect(api: str) -> bool:
    """Whether a Prefect server answers at an address."""
    try:
        return httpx.get(f"{api}/health", timeout=5).json() is True
    except (httpx.HTTPError, ValueError):
        return False


def register(root: Path) -> int:
    """Make work pool and deployments known to the server; returns an exit code.

    Raises ValueError when the server has the deployments of another folder.
    """
    from flows.work_pool import prepare_pool

    prepare_pool(pool_name(root), root)
    print(f"= {as_typed('prefect --no-prompt deploy --all', root)}", flush=True)
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout + done.stderr, file=sys.stderr)
        return FAILED
    for item in read_deployments(root):
        print(f"deployed  {item['name']}")
    return 0


class Children:
    """Processes that are started again when they die, and end with this one."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._commands: dict[str, Sequence[str]] = {}
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: Sequence[str]) -> None:
        """Start `command` under a name; its output goes to logs/prefect-<name>.log."""
        self._commands[name] = command
        log = self._root / "logs" / f"prefect-{name}.log"
        log.parent.mkdir(exist_ok=True)
        with log.open("ab") as file:
            self._running[name] = subprocess.Popen(
                command,
                cwd=self._root,
                env={**os.environ, STARTER: str(os.getpid())},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                preexec_fn=dying_with_parent(),
                process_group=0,  # Ctrl-C reaches this process alone, which ends them in order.
            )
        print(f"started   {name}, process {self._running[name].pid}, logs/{log.name}", flush=True)

    def revive(self) -> None:
        """Start again what has ended by itself."""
        for name, process in list(self._running.items()):
            if process.poll() is not None:
                print(f"the {name} ended ({process.returncode})", flush=True)
                self.start(name, self._commands[name])

    def wait_until(self, is_ready: Any, seconds: float) -> None:
        """Return when `is_ready()`. Raises OSError when a child ends or the time is over."""
        until = time.monotonic() + seconds
        while not is_ready():
            for name, process in self._running.items():
                if process.poll() is not None or time.monotonic() > until:
                    raise OSError(f"the {name} did not start; see logs/prefect-{name}.log")
            time.sleep(0.5)

    def end(self) -> None:
        """End them, the last one first."""
        for _, process in reversed(self._running.items()):
            process.terminate()
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _look_out(children: Children) -> None:
    from prefect import get_client
    from prefect.exceptions import PrefectException

    from flows.zombies import end_dead_flow_runs

    answers = True
    while True:
        children.revive()
        try:
            with get_client(sync_client=True) as client:
                for line in end_dead_flow_runs(client):
                    print(line, flush=True)
            answers = True
        except (httpx.HTTPError, PrefectException) as error:
            if answers:
                print(f"the server does not answer: {error}", flush=True)
            answers = False
        time.sleep(_LOOK_S)


if __name__ == "__main__":
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # As Ctrl-C: the worker ends its runs.
    sys.exit(main(sys.argv[1:]))
