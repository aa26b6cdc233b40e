import os
import sys

import pytest

from finer1.params import load_params
from flows import many_trials
from flows.ray_trials import gpus_of


@pytest.mark.parametrize(
    ("launcher", "shards", "tensor_parallel", "gpus"),
    [(1, 1, 1, 1), (4, 1, 1, 4), (4, 3, 2, 6), (8, 2, 4, 8)],
)
def test_a_run_takes_the_gpus_of_its_hungriest_stage(
    project, launcher, shards, tensor_parallel, gpus
):
    runtime = load_params(project / "params.yaml").runtime
    update = {
        "launcher": runtime.launcher.model_copy(update={"processes": launcher}),
        "shards": shards,
        "vllm": runtime.vllm.model_copy(update={"tensor_parallel": tensor_parallel}),
    }
    assert gpus_of(runtime.model_copy(update=update)) == gpus


def test_without_the_extra_it_is_said_what_to_install(project, monkeypatch):
    monkeypatch.setattr("os.environ", dict(os.environ))  # settling changes it
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setitem(sys.modules, "prefect_ray", None)
    runtime = load_params(project / "params.yaml").runtime
    with pytest.raises(ValueError, match="--ray needs the extra ray"):
        many_trials._run_on_ray([], many_trials.Project(project, {}, {}), {}, "", 1, [runtime])


def test_machines_that_reach_no_server_are_refused(project, monkeypatch):
    monkeypatch.setattr("os.environ", dict(os.environ))
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    runtime = load_params(project / "params.yaml").runtime
    with pytest.raises(ValueError, match="RAY_ADDRESS is set and PREFECT_API_URL is not"):
        many_trials._run_on_ray([], many_trials.Project(project, {}, {}), {}, "", 1, [runtime])
