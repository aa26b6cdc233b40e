"""MLflow behind a local journal: what happened in a run is on this disk first, then in the store.

The only package that imports mlflow. `journal` keeps a run, `pictures` puts tables and images into
MLflow's form, `sender` brings a journal to the store, `run` does so while a stage goes on, `sync`
for what was left behind, `store` makes the local store, `system` measures the machine, `registry`
names models, and `recognizer` is the model that MLflow serves.

Environment, all optional: MLFLOW_TRACKING_URI (default: `mlflow.db` in the project's folder, with
artifacts in `mlartifacts/`), FINER1_HOME (the project's folder, where a stage runs in a copy of
it: journals outlive the copy there), FINER1_PARENT_RUN (key of the pipeline's run), FINER1_FLOW_RUN
(Prefect), DVC_EXP_NAME (set by DVC).
"""

from tasks.tracking.journal import find_journals
from tasks.tracking.run import Status, Tracker, start_pipeline_run, start_run
from tasks.tracking.store import (
    EXPERIMENT,
    PARENT_TAG,
    open_store,
    prepare_store,
    shown_uri,
    tracking_uri,
)
from tasks.tracking.sync import Synced, sync

__all__ = [
    "EXPERIMENT",
    "PARENT_TAG",
    "Status",
    "Synced",
    "Tracker",
    "find_journals",
    "open_store",
    "prepare_store",
    "shown_uri",
    "start_pipeline_run",
    "start_run",
    "sync",
    "tracking_uri",
]
