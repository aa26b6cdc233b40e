"""Runs of experiments side by side on a Ray cluster, each a Prefect task: `--ray`.

Every run gets GPUs of its own, on this machine or on those of RAY_ADDRESS, which share the
project's folder and reach the server of PREFECT_API_URL. Needs the extra `ray`. Call
flows.pipeline's settle_prefect before the import.
"""

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.server.api.server import SubprocessASGIServer
from prefect.settings import PREFECT_API_URL, temporary_settings

from finer1.model_params import RuntimeParams
from finer1.telemetry import TELEMETRY_OFF
from flows.plan import Trial
from flows.trials import Project, run_trial
from tasks.exit_codes import MACHINE

_GIVEN = "CUDA_VISIBLE_DEVICES"
"""What Ray sets in a worker, for the GPUs that it gave."""


@dataclass(frozen=True)
class Share:
    """What the runs take of the cluster."""

    jobs: int
    """Runs at once at most."""
    gpus: int
    """GPUs of each, where the cluster has any."""


def gpus_of(runtime: RuntimeParams) -> int:
    """GPUs that the hungriest stage of a run uses on its machine."""
    parallel = max(runtime.vllm.tensor_parallel, runtime.teacher.tensor_parallel)
    return max(runtime.launcher.processes, runtime.shards * parallel)


def run_on_ray(
    trials: Sequence[Trial],
    project: Project,
    environ: Mapping[str, str],
    parent: str,
    share: Share,
) -> int:
    """Make the runs; returns the largest exit code, MACHINE for a run whose worker was lost.

    Raises ValueError without the package, for a cluster of several machines without a server that
    they reach, and when no machine has the GPUs of a run.
    """
    address = os.environ.get("RAY_ADDRESS") or None
    if address and not PREFECT_API_URL.value():
        raise ValueError(
            "RAY_ADDRESS is set and PREFECT_API_URL is not: the cluster's machines report to a "
            "Prefect server; set it to the address of one that they reach"
        )
    os.environ.update(TELEMETRY_OFF)
    if address is None:
        # Ray has loopback alone where it starts no cluster; else it listens on all addresses.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    try:
        from prefect_ray import RayTaskRunner
    except ImportError as error:
        raise ValueError(
            f"--ray needs the extra ray ({error}); setup/README.md says how to install it, or "
            "leave --ray out"
        ) from error
    code = f"{project.root}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    words: dict[str, Any] = {
        "runtime_env": {"env_vars": {"PYTHONPATH": code, **TELEMETRY_OFF}},
        "log_to_driver": False,
    }
    if address is None:
        words |= {"num_cpus": share.jobs, "include_dashboard": False}

    # Without `local` it would join any cluster that this machine happens to run.
    runner: Any = RayTaskRunner(address or "local", words)

    @flow(name="trials", task_runner=runner, persist_result=False)
    def trials_flow() -> int:
        return _run_all(trials, (project, environ, parent), share)

    with _server():
        return int(trials_flow())


@contextmanager
def _server() -> Iterator[None]:
    """The server of PREFECT_API_URL, or one for all workers, on loopback, for as long."""
    if PREFECT_API_URL.value():
        yield
        return
    server = SubprocessASGIServer()
    server.start()
    try:
        with temporary_settings({PREFECT_API_URL: server.api_url}):
            yield
    finally:
        server.stop()


def _run_all(
    trials: Sequence[Trial], rest: tuple[Project, Mapping[str, str], str], share: Share
) -> int:
    import ray
    from prefect_ray.context import remote_options

    has = max(int(n["Resources"].get("GPU", 0)) for n in ray.nodes() if n["Alive"])
    if 0 < has < share.gpus:
        raise ValueError(
            f"a run takes {share.gpus} GPUs (runtime.launcher, runtime.shards), and the largest "
            f"machine of the cluster has {has}"
        )
    waiting, codes = list(trials), [0]
    running: dict[Any, tuple[Trial, Any]] = {}
    with remote_options(num_cpus=1, num_gpus=share.gpus if has else 0):
        while waiting or running:
            while waiting and len(running) < share.jobs:
                trial = waiting.pop(0)
                make: Any = make_trial.with_options(task_run_name=trial.name)
                future = make.submit(trial, *rest)
                running[future.wrapped_future] = (trial, future)
            (ended, *_), _ = ray.wait(list(running), num_returns=1)
            codes.append(_outcome(*running.pop(ended)))
    return max(codes)


@task(name="trial", cache_policy=NO_CACHE, persist_result=False)
def make_trial(
    trial: Trial, project: Project, environ: Mapping[str, str], parent: str
) -> tuple[int, str]:
    """Make one run, on a worker; its exit code, and what it said."""
    own = {name: value for name, value in environ.items() if name not in ("RAY_ADDRESS", _GIVEN)}
    # A stage with shards starts a cluster inside of the GPUs that it was given.
    given = {_GIVEN: os.environ[_GIVEN]} if _GIVEN in os.environ else {}
    with redirect_stdout(io.StringIO()) as said:
        code = run_trial(trial, project, {**own, **given}, parent)
    return code, said.getvalue()


def _outcome(trial: Trial, future: Any) -> int:
    """Print what the run said; its exit code. Raises what the run's code did."""
    future.wait()
    state = future.state
    if state.is_crashed():
        print(f"  {trial.name:<28}{0:>7} s  lost with its worker: {state.message}", flush=True)
        return MACHINE
    code, said = future.result()
    print(said, end="", flush=True)
    return int(code)
