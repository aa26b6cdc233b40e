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

from tests.torture.moments import words

_START_S, _END_S = 1200.0, 120.0


class Servers:
    """MLflow, and Prefect's server, worker and look-out, over a copy of the project."""

    def __init__(self, copy: Path) -> None:
        """Start them and wait until they answer."""
        self.mlflow_port, self.prefect_port = _free_port(), _free_port()
        self.mlflow = f"http://127.0.0.1:{self.mlflow_port}"
        self.prefect = f"http://127.0.0.1:{self.prefect_port}/api"
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("FINER1_", "PREFECT_"))}
        self.environ = {
            **kept,
            "MLFLOW_TRACKING_URI": self.mlflow,
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }
        self._copy = copy
        (copy / "logs").mkdir(exist_ok=True)
        self._started = {
            "mlflow": self._start("mlflow", _mlflow_command(copy, self.mlflow_port)),
            "look-out": self._start(
                "deploy",
                [sys.executable, "-m", "flows.deploy", "--port", str(self.prefect_port)],
            ),
        }
        try:
            wait_for(lambda: _is_up(f"{self.mlflow}/health"), _START_S)
            wait_for(lambda: "open " in (copy / "logs/soak-deploy.log").read_text(), _START_S)
        except BaseException:
            self.end()
            raise

    def families(self) -> dict[str, list[psutil.Process]]:
        """Each server with its children; of the worker and the look-out they alone."""
        found: dict[str, list[psutil.Process]] = {}
        with suppress(psutil.NoSuchProcess):
            mlflow = psutil.Process(self._started["mlflow"].pid)
            found["mlflow"] = [mlflow, *mlflow.children(recursive=True)]
        with suppress(psutil.NoSuchProcess):
            look_out = psutil.Process(self._started["look-out"].pid)
            found["look-out"] = [look_out]
            for child in look_out.children():
                if "worker" in words(child):
                    found["worker"] = [child]
                elif "server" in words(child):
                    found["prefect"] = [child, *child.children(recursive=True)]
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

    def _start(self, name: str, command: list[str]) -> "subprocess.Popen[bytes]":
        with (self._copy / f"logs/soak-{name}.log").open("ab") as log:
            environ = {**self.environ, "PYTHONUNBUFFERED": "1"}
            return subprocess.Popen(
                command, cwd=self._copy, env=environ, stdout=log, stderr=log, process_group=0
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
