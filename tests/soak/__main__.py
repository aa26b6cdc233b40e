"""Runs, kills and load on the servers for a long time: `make soak`.

    python -m tests.soak [MINUTES] [FOLDER]

The servers of the project (tests/soak/servers.py) stand over a copy of it with the values of
`smoke`. Meanwhile the pipeline is run again and again with other seeds, by `finer1 run` that is
killed once on its way, and by a flow run of the worker; and others ask the servers without end
(tests/soak/load.py). Memory and open handles of the servers go to FOLDER/soak.csv (FOLDER: logs);
exit code 1 when they grow (tests/soak/growth.py) or something else is not as it must be.
"""

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from flows.smoke import prepare
from tests.soak.growth import Sampler, growths
from tests.soak.load import Load, mlflow_round, prefect_round
from tests.soak.servers import Servers
from tests.torture.moments import below

ROOT = Path(__file__).resolve().parents[2]
_AT_REST = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
_PER_S = 2.0
"""Rounds of requests, of six or seven each."""
_MB = 1_000_000


class Rounds:
    """The pipeline, again and again, until the time is over."""

    def __init__(self, copy: Path, servers: Servers, until: float, draw: random.Random) -> None:
        self._copy, self._servers, self._until, self._draw = copy, servers, until, draw
        self.whole, self.kills, self.flow_runs = 0, 0, 0
        self.faults: list[str] = []

    def run(self, say: Callable[[str], None]) -> None:
        """Turn about: a `finer1 run` that is killed and goes on, and a flow run of the worker."""
        seed = 0
        while self._has_time():
            seed += 1
            what = self._flow_run if seed % 3 == 0 else self._killed_run
            start = time.monotonic()
            outcome = what(seed)
            say(f"seed {seed}, {outcome} after {time.monotonic() - start:.0f} s")
            if outcome == "failed":
                self.faults.append(f"the run of seed {seed} failed, see {self._copy}/logs")
                return

    def _has_time(self) -> bool:
        return time.monotonic() < self._until

    def _killed_run(self, seed: int) -> str:
        """`finer1 run`, killed in one of its stages, and once more."""
        if self._has_time():
            self._finer1_run(seed, kill_after_s=self._draw.uniform(5, 90))
        outcome = self._finer1_run(seed, kill_after_s=None)
        self.whole += outcome == "whole"
        return outcome

    def _finer1_run(self, seed: int, kill_after_s: float | None) -> str:
        command = [sys.executable, "-m", "flows.cli", "run", "-S", f"seed={seed}"]
        with (self._copy / "logs/soak-run.log").open("ab") as log:
            process = subprocess.Popen(
                command, cwd=self._copy, env=self._servers.environ, stdout=log, stderr=log
            )
        kill_at = time.monotonic() + kill_after_s if kill_after_s else float("inf")
        while process.poll() is None and time.monotonic() < min(kill_at, self._until):
            time.sleep(0.2)
        if process.poll() is not None:
            return "failed" if process.returncode else "whole"
        family = below(process.pid)
        process.kill()
        process.wait()
        self.kills += time.monotonic() >= kill_at
        for each in family:
            with suppress(Exception):
                each.wait(60)
            if each.is_running():
                self.faults.append(f"{each.pid} outlived the finer1 run that started it")
        return "killed"

    def _flow_run(self, seed: int) -> str:
        """A run of the deployment `pipeline`, by the worker."""
        api = self._servers.prefect
        found = self._posted(f"{api}/deployments/filter", {})
        (deployment,) = [item["id"] for item in found if item["name"] == "pipeline"]
        body = {"parameters": {"assignments": [f"seed={seed}"]}, "state": {"type": "SCHEDULED"}}
        run = self._posted(f"{api}/deployments/{deployment}/create_flow_run", body)["id"]
        state = ""
        while self._has_time() and state not in _AT_REST:
            time.sleep(2)
            with suppress(httpx.HTTPError):  # busy
                answer = httpx.get(f"{api}/flow_runs/{run}", timeout=120).json()
                state = str(answer.get("state_type"))
        if state not in _AT_REST:
            return "unfinished"
        self.flow_runs += state == "COMPLETED"
        return "whole" if state == "COMPLETED" else "failed"

    def _posted(self, address: str, body: dict[str, Any]) -> Any:
        """The answer, after as many tries as there is time for: a busy server refuses some."""
        while True:
            try:
                answer = httpx.post(address, json=body, timeout=120)
                answer.raise_for_status()
                return answer.json()
            except httpx.HTTPError:
                if not self._has_time():
                    raise
                time.sleep(2)


def main(minutes: float, folder: Path) -> int:
    """Do all of it; returns the exit code."""
    start = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - start:6.0f} s  {line}", flush=True)

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="finer1-soak-") as place:
        copy = Path(place)
        prepare(ROOT, copy, "smoke")
        for name in ("prefect.yaml", "pyproject.toml"):
            (copy / name).write_bytes((ROOT / name).read_bytes())
        os.environ["DVC_NO_ANALYTICS"] = "1"
        servers = Servers(copy)
        begin = time.monotonic()
        say("the servers answer")
        sampler = Sampler(servers.families, folder / "soak.csv", lambda: time.monotonic() - begin)
        loads = [
            Load("mlflow", mlflow_round(servers.mlflow), _PER_S),
            Load("prefect", prefect_round(servers.prefect), _PER_S),
        ]
        rounds = Rounds(copy, servers, begin + 60 * minutes, random.Random(0))
        try:
            sampler.start()
            for load in loads:
                load.start()
            rounds.run(say)
            for load in loads:
                load.end()
            sampler.end()
        finally:
            servers.end()
        is_flat = _report(rounds, loads, sampler, say)
    say(f"samples in {folder / 'soak.csv'}")
    return 0 if is_flat else 1


def _report(
    rounds: Rounds, loads: list[Load], sampler: Sampler, say: Callable[[str], None]
) -> bool:
    """Say what was seen; true when all is as it must be."""
    say(f"{rounds.whole} runs whole, {rounds.kills} kills, {rounds.flow_runs} flow runs whole")
    faults = list(rounds.faults)
    counts = {"run": rounds.whole, "kill": rounds.kills, "flow run": rounds.flow_runs}
    faults += [f"not one {what}" for what, count in counts.items() if count == 0]
    for load in loads:
        say(f"{load.load_name}: rounds of requests: {dict(load.counts)}")
        if load.counts["answered"] < 0.99 * max(load.counts.total(), 1):
            faults.append(f"{load.load_name} did not answer all")
    try:
        found = growths(sampler.samples)
    except ValueError as error:  # it ended early
        found, faults = [], [*faults, str(error)]
    for growth in found:
        unit = _MB if growth.what == "rss" else 1
        name = f"{growth.name}, {'memory in MB' if growth.what == 'rss' else 'open handles'}"
        say(
            f"{name}: {growth.first / unit:.0f} to {growth.last / unit:.0f}, "
            f"{growth.per_hour / unit:+.1f} an hour; at least {growth.at_least / unit:+.1f} in "
            f"this time, {growth.bar / unit:.1f} are allowed"
        )
        if growth.is_too_much:
            faults.append(f"{name}: grows")
    for fault in faults:
        say(f"FAULT  {fault}")
    return not faults


if __name__ == "__main__":
    given = sys.argv[1:]
    minutes = float(given[0]) if given else 60.0
    sys.exit(main(minutes, Path(given[1]) if len(given) > 1 else Path("logs")))
