"""The long-lived processes of the project: MLflow's server, and what `flows.deploy` starts."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import psutil

from finer1.telemetry import TELEMETRY_OFF
from flows.deploy import is_prefect, server_command
from tests.torture.moments import words

_START_S, _END_S = 3600.0, 120.0


class Servers:
    """MLflow, and Prefect's server, worker and look-out, over a copy of the project."""

    def __init__(self, copy: Path) -> None:
        """Start them and wait until they answer."""
        mlflow, prefect = _free_port(), _free_port()
        self.mlflow = f"http://127.0.0.1:{mlflow}"
        self.prefect = f"http://127.0.0.1:{prefect}/api"
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("FINER1_", "PREFECT_"))}
        self.environ = {
            **kept,
            **TELEMETRY_OFF,
            "MLFLOW_TRACKING_URI": self.mlflow,
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "PREFECT_API_URL": self.prefect,
            "PREFECT_HOME": str(copy / ".prefect"),
            "PYTHONUNBUFFERED": "1",
        }
        self._copy = copy
        (copy / "logs").mkdir(exist_ok=True)
        self._started: dict[str, subprocess.Popen[bytes]] = {}
        try:
            self._start("mlflow", _mlflow_command(copy, mlflow))
            self._start("prefect", server_command(prefect))
            wait_for(lambda: _is_up(f"{self.mlflow}/health"), _START_S)
            wait_for(lambda: is_prefect(self.prefect), _START_S)
            self._start("look-out", [sys.executable, "-m", "flows.deploy"])
            wait_for(lambda: "open " in self._log("look-out").read_text(), _START_S)
        except BaseException:
            self.end()
            raise

    def families(self) -> dict[str, list[psutil.Process]]:
        """Each server with its children; of the worker and the look-out they alone."""
        found: dict[str, list[psutil.Process]] = {}
        for name, process in self._started.items():
            with suppress(psutil.NoSuchProcess):
                parent = psutil.Process(process.pid)
                if name != "look-out":
                    found[name] = [parent, *parent.children(recursive=True)]
                    continue
                found[name] = [parent]
                for child in parent.children():
                    if "worker" in words(child):
                        found["worker"] = [child]
        return found

    def end(self) -> None:
        """End them as Ctrl-C does, then whatever is left."""
        family: list[psutil.Process] = []
        for process in self._started.values():
            with suppress(psutil.NoSuchProcess):
                parent = psutil.Process(process.pid)
                family += [parent, *parent.children(recursive=True)]
            process.send_signal(signal.SIGTERM)
        for process in self._started.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(_END_S)
        for left in family:
            with suppress(psutil.NoSuchProcess):
                left.kill()

    def _log(self, name: str) -> Path:
        return self._copy / f"logs/soak-{name}.log"

    def _start(self, name: str, command: list[str]) -> None:
        with self._log(name).open("ab") as log:
            self._started[name] = subprocess.Popen(
                command, cwd=self._copy, env=self.environ, stdout=log, stderr=log, process_group=0
            )


def wait_for(is_so: Callable[[], bool], seconds: float) -> None:
    """Return when it is so; raises AssertionError when it is too late."""
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, "too slow"
        time.sleep(0.5)


def _mlflow_command(copy: Path, port: int) -> list[str]:
    words = ["server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    store = ["--backend-store-uri", f"sqlite:///{copy}/served.db"]
    artifacts = ["--artifacts-destination", str(copy / "served")]
    return [sys.executable, "-m", "mlflow", *words, *store, *artifacts]


def _is_up(address: str) -> bool:
    try:
        return httpx.get(address, timeout=10).status_code == 200
    except httpx.HTTPError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
