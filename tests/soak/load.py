"""What users and runs ask of MLflow's server and of Prefect's API, again and again."""

import threading
import time
from collections import Counter
from collections.abc import Callable

import httpx

_TIMEOUT_S = 120.0


class Load(threading.Thread):
    """Asks a server for one thing after the other, so many a second at most."""

    def __init__(self, name: str, ask: Callable[[httpx.Client], None], per_s: float) -> None:
        super().__init__(daemon=True)
        self.load_name = name
        self.counts: Counter[str] = Counter()
        """Rounds of requests that were answered, and what went wrong with others."""
        self._ask, self._pause_s = ask, 1 / per_s
        self._ended = threading.Event()

    def run(self) -> None:
        """Ask until `end`."""
        with httpx.Client(timeout=_TIMEOUT_S) as client:
            while not self._ended.wait(self._pause_s):
                try:
                    self._ask(client)
                    self.counts["answered"] += 1
                except httpx.HTTPStatusError as error:
                    self.counts[f"status {error.response.status_code}"] += 1
                except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
                    self.counts[type(error).__name__] += 1  # no answer, or none that can be read

    def end(self) -> None:
        """Ask no more."""
        self._ended.set()
        self.join(2 * _TIMEOUT_S)


def mlflow_round(address: str) -> Callable[[httpx.Client], None]:
    """A run with metrics that is made, read as the UI reads it, ended and deleted."""
    api = f"{address}/api/2.0/mlflow"

    def ask(client: httpx.Client) -> None:
        def post(path: str, **body: object) -> dict[str, dict[str, dict[str, str]]]:
            answer = client.post(f"{api}/{path}", json=body)
            answer.raise_for_status()
            return answer.json()

        now = int(time.time() * 1000)
        made = post("runs/create", experiment_id="0", run_name="soak", start_time=now)
        run = made["run"]["info"]["run_id"]
        metrics = [
            {"key": f"loss/{key}", "value": step / 7, "timestamp": now, "step": step}
            for key in range(5)
            for step in range(20)
        ]
        post("runs/log-batch", run_id=run, metrics=metrics)
        post("runs/search", experiment_ids=["0"], max_results=50)
        words = {"run_id": run, "metric_key": "loss/0"}
        client.get(f"{api}/metrics/get-history", params=words).raise_for_status()
        post("runs/update", run_id=run, status="FINISHED", end_time=now)
        post("runs/delete", run_id=run)

    return ask


def prefect_round(api: str) -> Callable[[httpx.Client], None]:
    """A flow run that is made, goes through its states, is read as the UI reads it, and deleted."""

    def ask(client: httpx.Client) -> None:
        def post(path: str, body: dict[str, object]) -> dict[str, str]:
            answer = client.post(f"{api}{path}", json=body)
            answer.raise_for_status()
            return answer.json() if answer.content else {}

        flow = post("/flows/", {"name": "soak"})["id"]
        run = post("/flow_runs/", {"flow_id": flow, "state": {"type": "PENDING"}})["id"]
        for kind in ("RUNNING", "COMPLETED"):
            post(f"/flow_runs/{run}/set_state", {"state": {"type": kind}})
        post("/flow_runs/filter", {"limit": 50, "sort": "START_TIME_DESC"})
        post("/logs/filter", {"limit": 50})
        client.get(f"{api}/health").raise_for_status()
        client.delete(f"{api}/flow_runs/{run}").raise_for_status()

    return ask
