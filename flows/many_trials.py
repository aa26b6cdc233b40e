"""The runs of a plan, several at once: in threads of this process, or on a Ray cluster."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from finer1.model_params import RuntimeParams
from finer1.params import check_params, with_differences
from flows.durations import about
from flows.forecast import Forecast
from flows.listing import plan_seconds
from flows.pipeline import answering_server, settle_prefect
from flows.plan import Plan, Trial
from flows.trials import Project, find_trials, run_trial


@dataclass(frozen=True)
class How:
    """How they are run."""

    data_root: Path | None = None
    """Folder of the datasets."""
    jobs: int = 1
    """Runs at once."""
    again: bool = False
    """Make those again that are done with the same inputs."""
    on_ray: bool = False
    """As Prefect tasks on a Ray cluster, each with GPUs of its own."""


def run_trials(
    plan: Plan, project: Project, environ: Mapping[str, str], parent: str, how: How
) -> int:
    """Make those that are not done; the largest exit code.

    parent: MLflow run above them. Raises ValueError as flows.ray_trials does,
    ConnectionError when its Prefect server does not answer.
    """
    found = find_trials(plan.trials, project)
    done = {name for name, item in found.items() if item.state == "done" and not how.again}
    wanted = [trial for trial in plan.trials if trial.name not in done]
    text = f"{len(plan.trials)} runs"
    if done:
        text += f", {len(done)} of them done with the same inputs before"
    if not wanted:
        print(text)
        return 0
    values = dict(project.values)
    own = with_differences(values, wanted[0].differences)
    if list(own["download"]["datasets"]) != ["world"]:
        text += f"; memory and time: finer1 plan {plan.setting or wanted[0].experiment}"
    else:
        forecast = Forecast(project.graph, values)
        seconds = plan_seconds(plan, values, forecast, done.__contains__)
        text += f", {about(seconds)} on two cores"
    print(f"{text}, {how.jobs} at a time")

    if how.on_ray:
        runtimes = [
            check_params(with_differences(values, trial.differences), trial.name).runtime
            for trial in wanted
        ]
        return _run_on_ray(wanted, project, environ, parent, how.jobs, runtimes)

    def run(trial: Trial) -> int:
        return run_trial(trial, project, environ, parent)

    with ThreadPoolExecutor(how.jobs) as pool:
        return max(pool.map(run, wanted))


def _run_on_ray(
    trials: list[Trial],
    project: Project,
    environ: Mapping[str, str],
    parent: str,
    jobs: int,
    runtimes: list[RuntimeParams],
) -> int:
    settle_prefect(project.root)
    # Prefect reads its settings while it is imported.
    from flows.ray_trials import Share, gpus_of, run_on_ray

    share = Share(jobs, max(map(gpus_of, runtimes)))
    with answering_server():
        return run_on_ray(trials, project, environ, parent, share)
