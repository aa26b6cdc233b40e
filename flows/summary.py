"""What a finished run says: the result table, where to look, what to do next."""

import json
from pathlib import Path

from finer1.params import load_params
from finer1.report.table import run_table
from flows.processes import as_typed

_STAND_IN = "template"


def print_summary(root: Path) -> None:
    """Print accuracies with intervals, the report's path and the next commands."""
    params = load_params(root / "params.yaml")
    metrics = root / params.paths.metrics / "score.json"
    if not metrics.exists():
        print(f"no result yet; make one: {as_typed('finer1 run', root)}")
        return
    print()
    try:
        if _is_behind(root):
            print(
                "What follows is of an earlier run: settings, code or inputs have changed since. "
                f"Up to date: {as_typed('finer1 run', root)}\n"
            )
    except ValueError as error:
        print(f"Whether what follows is up to date cannot be seen now: {error}\n")
    print(run_table(params, json.loads(metrics.read_text(encoding="utf-8"))))
    print()
    if params.cot.engine == _STAND_IN:
        print(
            "  * A template that knows nothing wrote the rationales: the accuracies mean nothing."
        )
    for caveat in params.caveats():
        print(f"  * {caveat}")
    print(f"""
report    {root / params.paths.report}
figures   {root / params.paths.results}
MLflow    {as_typed("mlflow ui --backend-store-uri sqlite:///mlflow.db", root)}
Prefect   {as_typed("python -m flows.deploy", root)}
now your images, FOLDER with one sub-folder per sub-category, WORD for what all of them show:
  {as_typed("finer1 data add FOLDER --category WORD", root)}""")


def _is_behind(root: Path) -> bool:
    """Whether the stage `score` would run again; False where nothing has run.

    Raises ValueError when DVC cannot read graph or lock.
    """
    from flows.dag import changed_stages, load_stages, with_followers

    if not (root / "dvc.lock").exists():
        return False
    return "score" in with_followers(load_stages(root), changed_stages(root))
