import errno
import shutil
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from finer1.params import load_params
from tasks.space import check_stage, num_parameters

LEAST = 50_000_000


@pytest.fixture
def params(repository):
    return load_params(repository / "params.yaml")


@pytest.fixture
def project(tmp_path, params):
    """A base of 2 x 3 + 4 = 10 parameters, and a stage that wrote 1,000 bytes."""
    (tmp_path / params.paths.base).mkdir(parents=True)
    weights = {"a": torch.zeros(2, 3, dtype=torch.bfloat16), "b": torch.zeros(4)}
    save_file(weights, tmp_path / params.paths.base / "model.safetensors")
    lock = "stages: {cot: {cmd: x, outs: [{path: a, md5: b, size: 1000}]}}"
    (tmp_path / "dvc.lock").write_text(lock)
    return tmp_path


def test_parameters_are_counted_by_the_header(project, params):
    assert num_parameters(project / params.paths.base / "model.safetensors") == 10


def test_a_stage_needs_what_it_wrote_last_time_twice(project, params):
    assert check_stage("cot", params, project) == LEAST + 2 * 1000
    assert check_stage("split", params, project) == LEAST


def test_training_needs_three_checkpoints_and_the_model_twice(project, params):
    # A checkpoint has three float32 per parameter, the model one.
    assert check_stage("sft", params, project) == LEAST + 3 * 12 * 10 + 2 * 4 * 10


def test_adapters_need_no_checkpoint_of_the_whole_model(project, params):
    adapted = params.model_copy(update={"tapo": params.tapo.model_copy(update={"lora_rank": 8})})
    assert check_stage("tapo", adapted, project) == LEAST + 2 * 4 * 10


def test_a_full_disk_is_told_before_anything_is_computed(project, params, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=LEAST - 1))
    with pytest.raises(OSError, match="needs 51 MB, 50 MB are free") as told:
        check_stage("cot", params, project)
    assert told.value.errno == errno.ENOSPC
