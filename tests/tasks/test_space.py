import errno
import shutil
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from finer1.params import load_params
from tasks import space
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
    assert check_stage("cot", params, project, project / "resume") == LEAST + 2 * 1000
    assert check_stage("split", params, project, project / "resume") == LEAST


def test_training_needs_three_checkpoints_and_the_model_twice(project, params):
    # A checkpoint has three float32 per parameter, the model one.
    assert (
        check_stage("sft", params, project, project / "resume") == LEAST + 3 * 12 * 10 + 2 * 4 * 10
    )


def test_adapters_need_no_checkpoint_of_the_whole_model(project, params):
    adapted = params.model_copy(update={"tapo": params.tapo.model_copy(update={"lora_rank": 8})})
    assert check_stage("tapo", adapted, project, project / "resume") == LEAST + 2 * 4 * 10


def test_a_full_disk_is_told_before_anything_is_computed(project, params, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=LEAST - 1))
    with pytest.raises(OSError, match="needs 51 MB, 50 MB are free") as told:
        check_stage("cot", params, project, project / "resume")
    assert told.value.errno == errno.ENOSPC


@pytest.mark.parametrize("stage", ["sft", "tapo"])
def test_training_of_no_step_keeps_no_checkpoint(project, params, stage):
    section = getattr(params, stage).model_copy(update={"steps": 0})
    without = params.model_copy(update={stage: section})
    assert check_stage(stage, without, project, project / "resume") == LEAST + 2 * 4 * 10


def test_checkpoints_that_a_killed_run_left_are_not_asked_for_again(project, params):
    resume = project / "models/.resume/sft-1"
    saved = resume / "checkpoints/step-000001"
    saved.mkdir(parents=True)
    (saved / "model.safetensors").write_bytes(bytes(120))
    (resume / "log.jsonl").write_bytes(bytes(120))  # makes no room
    # Of three checkpoints of 12 bytes for each of 10 parameters, one is there.
    assert check_stage("sft", params, project, resume) == LEAST + 2 * 12 * 10 + 2 * 4 * 10
    (saved / "optimizer.safetensors").write_bytes(bytes(1000))
    assert check_stage("sft", params, project, resume) == LEAST + 2 * 4 * 10


@pytest.mark.parametrize(("free", "is_refused"), [(360, False), (359, True)])
def test_checkpoints_need_room_on_the_disk_of_the_scratch(
    project, params, monkeypatch, free, is_refused
):
    resume = project / "resume"
    resume.mkdir()
    room = {project: LEAST + 2 * 4 * 10, resume: free}
    monkeypatch.setattr(space, "_disk", str)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=room[path]))
    if is_refused:
        with pytest.raises(OSError, match="resume"):
            check_stage("sft", params, project, resume)
    else:
        check_stage("sft", params, project, resume)
