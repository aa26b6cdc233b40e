"""Stage 1 in processes of its own (gloo): several as one, and killed for real."""

import multiprocessing
import os
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from finer1.policy.processes import World
from finer1.sft import own_rows

pytestmark = pytest.mark.slow
NO_DEEPSPEED = pytest.mark.skipif(not find_spec("deepspeed"), reason="deepspeed is not installed")
STRATEGIES = ["ddp", "fsdp", pytest.param("zero3", marks=NO_DEEPSPEED)]
SETTINGS = {"epochs": 2, "max_epochs": 2, "batch_size": 4, "lr": 1e-3, "format_prompts": 3}


@pytest.fixture(scope="module")
def train(tiny_model, repository):
    """Train in a folder; metrics, logs and weights, or None when process 0 was killed."""
    folder, root = Path(__file__).parent, Path(__file__).parents[2]
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("PYTHONPATH", f"{folder}:{root}:{os.environ.get('PYTHONPATH', '')}")
        patch.setenv("OMP_NUM_THREADS", "1")
        processes = multiprocessing.get_context("forkserver")
        processes.set_forkserver_preload(["sft_process"])
        import several
        import sft_process

        def run(folder, size=1, kill=None, strategy="ddp", broken=None, micro_batch=1, **changes):
            request = {
                "repository": repository,
                "start": tiny_model,
                "folder": folder,
                "size": size,
                "settings": SETTINGS | changes,
                "runtime": {"save_steps": 1, "micro_batch": micro_batch},
                "strategy": strategy,
                "kill": kill,
                "broken": broken,
            }
            return several.train_together(processes, sft_process.train, request)

        yield run


@pytest.fixture(scope="module")
def alone(train, tmp_path_factory):
    """Three steps of four rows in one process, by rows at once, which are padded to one length."""
    runs = {}

    def get(micro_batch):
        if micro_batch not in runs:
            folder = tmp_path_factory.mktemp("alone")
            runs[micro_batch] = train(folder, micro_batch=micro_batch)
        return runs[micro_batch]

    return get


def assert_same_training(one, two):
    """Losses to 1e-5, weights up to the order in which float32 numbers are added.

    A step of AdamW moves a weight by about lr = 1e-3. Key biases have no gradient but rounding
    (attention does not depend on them), which Adam makes larger: they get a bound of their own.
    """
    assert len(one[1]) == 3  # 2 epochs x 5 rows / 4, rounded up
    assert one[0] == pytest.approx(two[0], rel=1e-5)
    for step in one[1] if two[1] else ():
        assert one[1][step] == pytest.approx(two[1][step], rel=1e-5)
    for name, value in one[2].items():
        bound = 1e-4 if name.endswith("k_proj.bias") else 5e-6
        torch.testing.assert_close(value, two[2][name], rtol=0, atol=bound, msg=name)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("micro_batch", [1, 2])
def test_two_processes_train_as_one(train, alone, tmp_path, strategy, micro_batch):
    two = train(tmp_path, size=2, strategy=strategy, micro_batch=micro_batch)
    assert_same_training(alone(micro_batch), two)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_two_processes_with_the_vision_tower_train_as_one(train, tmp_path, strategy):
    one = train(tmp_path / "one", train_vision=True)
    two = train(tmp_path / "two", size=2, strategy=strategy, train_vision=True)
    assert_same_training(one, two)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_run_of_two_that_was_killed_ends_as_an_unbroken_one(train, tmp_path, strategy):
    whole = train(tmp_path / "whole", size=2, strategy=strategy)
    train(tmp_path / "killed", size=2, strategy=strategy, kill=2)
    metrics, logs, weights = train(tmp_path / "killed", size=2, strategy=strategy)
    assert sorted(map(int, logs)) == [2, 3]
    assert metrics == whole[0]
    assert all(value.equal(weights[name]) for name, value in whole[2].items())


def test_a_run_of_two_goes_on_in_one(train, alone, tmp_path):
    train(tmp_path, size=2, kill=2)
    metrics, _, weights = train(tmp_path)
    # The first step was that of two processes, the others are those of one.
    assert_same_training(alone(1), (metrics, None, weights))


def test_a_loss_that_is_not_finite_in_one_process_is_skipped_in_all(train, tmp_path):
    metrics, logs, _ = train(tmp_path, size=2, broken=1)
    assert metrics["train/skipped_updates"] == 1
    assert [step for step in logs if "train/loss" in logs[step]] == ["2", "3"]


def test_a_batch_that_cannot_be_shared_out_equally_is_refused():
    assert own_rows(8, World(0, 2)) == 4
    with pytest.raises(ValueError, match=r"sft.batch_size \(8\) must be a multiple of .* 3;"):
        own_rows(8, World(0, 3))
