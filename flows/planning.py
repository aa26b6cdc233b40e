"""`finer1 plan`: an experiment planned without running anything."""

import sys
from pathlib import Path

from finer1.params import Params, check_params, load_values, with_differences
from finer1.planning.architecture import missing_weights
from finer1.planning.plan import Resources, plan_run, plan_text
from finer1.tapo.settings import check_settings
from flows.differences import differences_on
from tasks.exit_codes import BAD_INPUT


def experiment_params(name: str | None, root: Path) -> Params:
    """The parameters of an experiment; without a name those of params.yaml as they stand.

    Raises ValueError for an unknown name, a group, or a value that is not allowed.
    """
    values = load_values(root / "params.yaml")
    params = check_params(values, "params.yaml")
    if name is None:
        return params
    differences = differences_on(values, params.experiments, name, None)
    own = check_params(with_differences(values, differences), f"experiment {name}")
    check_settings(own.tapo)
    return own


def print_plan(name: str | None, resources: Resources, root: Path) -> int:
    """Print the plan, then what does not fit on standard error; the exit code."""
    params = experiment_params(name, root)
    base = root / params.paths.base
    if params.paths.base.name in params.pretrain.models and not base.is_dir():
        raise ValueError(
            f"{name or 'params.yaml'}: how large {params.paths.base} is, is known once the stage "
            f"pretrain@{base.name} has made it; `finer1 experiments` forecasts the time of runs on "
            "the drawn world"
        )
    plan = plan_run(name or "params.yaml", params, base, resources)
    print(plan_text(plan))
    missing = missing_weights(base)
    if missing:
        print(f"\nbefore a run: {missing}")
    for sentence in plan.refused:
        print(f"finer1: {sentence}", file=sys.stderr)
    return BAD_INPUT if plan.refused else 0
