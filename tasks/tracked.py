"""Which MLflow run made what: by the tag `stage_key`, without loading MLflow."""

import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path

import httpx

from tasks.tracking import EXPERIMENT, shown_uri, tracking_uri

_PATIENCE_S = 2.0
_NEWEST = 1000
_QUERY = """
    SELECT tags.value, runs.run_uuid FROM tags JOIN runs ON tags.run_uuid = runs.run_uuid
    WHERE tags.key = 'stage_key' AND runs.lifecycle_stage = 'active' ORDER BY runs.start_time
"""


def tracked_runs(keys: Collection[str], root: Path) -> dict[str, str]:
    """stage_key -> the newest run with it: its address on a server, its id in a local store.

    What the store does not tell, at once, is left out.
    """
    uri = tracking_uri(root)
    if uri.startswith("sqlite:///"):
        found = _in_file(Path(uri.removeprefix("sqlite:///")))
    elif uri.startswith(("http://", "https://")):
        found = _on_server(uri.rstrip("/"))
    else:
        found = {}
    return {key: found[key] for key in keys if key in found}


def _in_file(database: Path) -> dict[str, str]:
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            return dict(connection.execute(_QUERY).fetchall())
    except sqlite3.Error:  # none yet, or none of this version
        return {}


def _on_server(uri: str) -> dict[str, str]:
    api = f"{uri}/api/2.0/mlflow"
    try:
        with httpx.Client(timeout=_PATIENCE_S) as client:
            name = {"experiment_name": EXPERIMENT}
            answer = client.get(f"{api}/experiments/get-by-name", params=name).raise_for_status()
            experiment = answer.json()["experiment"]["experiment_id"]
            body = {"experiment_ids": [experiment], "max_results": _NEWEST}
            answer = client.post(f"{api}/runs/search", json=body).raise_for_status()
            runs = answer.json().get("runs", [])
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError):
        return {}
    found: dict[str, str] = {}
    for run in runs:  # newest first
        tags = {tag["key"]: tag["value"] for tag in run["data"].get("tags", [])}
        if key := tags.get("stage_key"):
            place = f"{shown_uri(uri)}/#/experiments/{experiment}/runs/{run['info']['run_id']}"
            found.setdefault(key, place)
    return found
