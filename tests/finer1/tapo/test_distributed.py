"""Runs in processes of their own (gloo): several as one, and killed for real."""

import multiprocessing
import os
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

SIZES = {"prompts_per_step": 2, "minibatches": 1, "anchor_rollouts": 2, "positive_rollouts": 2}
SHORT = {"steps": 9, "lr": 1e-3, "warmup_steps": 1, "max_completion_tokens": 30, "augment": True}
NO_DEEPSPEED = pytest.mark.skipif(not find_spec("deepspeed"), reason="deepspeed is not installed")
STRATEGIES = ["ddp", "fsdp", pytest.param("zero3", marks=NO_DEEPSPEED)]
PROMPT_IMAGES = 3  # anchor, positive, negative


@pytest.fixture(scope="module")
def processes():
    """Starts processes by fork from one that has imported everything: half a second each."""
    folder, root = Path(__file__).parent, Path(__file__).parents[3]
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder.parent)
        patch.syspath_prepend(folder)
        patch.setenv(
            "PYTHONPATH", f"{folder}:{folder.parent}:{root}:{os.environ.get('PYTHONPATH', '')}"
        )
        patch.setenv("OMP_NUM_THREADS", "1")
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["preloaded"])
        yield context


@pytest.fixture(scope="module")
def train(processes, talking_model, triplets, repository):
    """Train in a folder; metrics, logs and weights, or None when process 0 was killed."""
    import several
    import train_process

    def run(folder, size=1, kill=None, save_steps=1, broken=None, strategy="ddp", **changes):
        runtime = {key: changes.pop(key) for key in ("micro_batch",) if key in changes}
        request = {
            "repository": repository,
            "start": talking_model,
            "folder": folder,
            "triplets": triplets,
            "size": size,
            "settings": SIZES | SHORT | changes,
            "runtime": {"save_steps": save_steps} | runtime,
            "strategy": strategy,
            "broken": broken,
            "kill": kill,
        }
        return several.train_together(processes, train_process.train, request)

    return run


@pytest.fixture(scope="module")
def unbroken(train, tmp_path_factory):
    """Nine steps that nothing disturbed, by number of processes."""
    runs = {}

    def get(size):
        if size not in runs:
            runs[size] = train(tmp_path_factory.mktemp(f"unbroken{size}"), size=size)
        return runs[size]

    return get


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 2])
def test_a_run_killed_time_and_again_ends_as_an_unbroken_one(train, unbroken, tmp_path, size):
    # Of four anchors, each step takes three prompts or more: an epoch ends in most steps.
    for step in range(1, 9):
        done = (step - 1) // 3 * 3  # the newest checkpoint: they lag up to three steps behind
        # Odd steps: dies in the second round of sampling if there is one, with a pool half full.
        images = 4 * PROMPT_IMAGES // size if step % 2 else 1000
        train(tmp_path, size, kill=(step, done, images), save_steps=3)
    assert (tmp_path / "killed").read_text().count("sampling") >= 2
    metrics, _, weights = train(tmp_path, size, save_steps=3)
    assert metrics == unbroken(size)[0]
    assert all(value.equal(weights[name]) for name, value in unbroken(size)[2].items())


def assert_same_training(one, two):
    """Equal counts; losses and weights up to the order in which float32 numbers are added.

    A step of AdamW moves a weight by about lr = 1e-3. Key biases have no gradient but rounding
    (attention does not depend on them), which Adam makes larger: they get a bound of their own.
    """
    assert one[0] == pytest.approx(two[0], rel=1e-5)
    for step in one[1]:
        assert one[1][step] == pytest.approx(two[1][step], rel=1e-4, abs=1e-6)
    moved = 0.0
    for name, value in one[2].items():
        bound = 2e-5 if name.endswith("k_proj.bias") else 2e-6
        torch.testing.assert_close(value, two[2][name], rtol=0, atol=bound, msg=name)
        moved = max(moved, float(value.abs().max()))
    assert moved > 0


@pytest.fixture(scope="module")
def alone(train, tmp_path_factory):
    """Two steps of one process, three groups each in parts of one: two and one for two."""
    return train(tmp_path_factory.mktemp("alone"), steps=2, prompts_per_step=3, micro_batch=4)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_two_processes_train_as_one(train, alone, tmp_path, strategy):
    changes = {"steps": 2, "prompts_per_step": 3, "micro_batch": 4}
    two = train(tmp_path, size=2, strategy=strategy, **changes)
    assert_same_training(alone, two)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(
    "changes",
    [
        {"train_vision": True, "minibatches": 3, "negative_gradient": False},
        {"lora_rank": 4, "update_image": "own"},
    ],
    ids=["vision", "lora"],
)
def test_two_processes_train_as_one_with_other_settings(train, tmp_path, strategy, changes):
    changes = {"steps": 2, "prompts_per_step": 3, "micro_batch": 4} | changes
    one = train(tmp_path / "one", **changes)
    assert_same_training(one, train(tmp_path / "two", size=2, strategy=strategy, **changes))


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES[1:])
def test_a_sharded_run_killed_goes_on_to_the_same_weights(train, tmp_path, strategy):
    changes = {"size": 2, "strategy": strategy, "steps": 4}
    whole = train(tmp_path / "whole", **changes)
    train(tmp_path / "killed", kill=(3, 0, 1000), **changes)
    metrics, _, weights = train(tmp_path / "killed", **changes)
    assert metrics == whole[0]
    assert all(value.equal(weights[name]) for name, value in whole[2].items())


@pytest.mark.slow
def test_a_loss_that_is_not_finite_in_one_process_is_skipped_in_all(train, tmp_path, talking_model):
    metrics, _, weights = train(tmp_path, size=2, steps=1, broken=1)
    assert metrics["train/skipped_updates"] == 1
    start = load_file(talking_model / "model.safetensors")
    assert all(value.equal(weights[name]) for name, value in start.items())
