"""Whole TAPO runs of the tiny policy."""

import itertools
import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, AutoProcessor

from finer1 import faults
from finer1.tapo import trainer, training
from finer1.tapo.display import Outlets
from finer1.tapo.losses import tapo_loss
from finer1.tapo.training import train_tapo

SIZES = {"prompts_per_step": 4, "minibatches": 2, "anchor_rollouts": 3, "positive_rollouts": 3}
# The drawn anchor and positive of a label are one image, which only augmentation tells apart.
SHORT = {"steps": 3, "lr": 1e-3, "warmup_steps": 1, "max_completion_tokens": 30, "augment": True}


@pytest.fixture(scope="module")
def train(talking_model, triplets, params, picture):
    """Train in a folder with changed settings; metrics, logs and weights."""

    def run(folder, read_image=picture, at_step=lambda step: None, save_steps=1, **changes):
        logs, runtime = {}, {"save_steps": save_steps}
        if "gradient_checkpointing" in changes:
            runtime["gradient_checkpointing"] = changes.pop("gradient_checkpointing")

        def log(metrics, step):
            at_step(step)
            logs[step] = {k: v for k, v in metrics.items() if not k.startswith(("time/", "speed/"))}

        metrics = train_tapo(
            start=talking_model,
            triplets=triplets,
            read_image=read_image,
            labels={"bird": ("a", "b")},
            settings=params.tapo.model_copy(update=SIZES | SHORT | changes),
            runtime=params.runtime.model_copy(update=runtime),
            system="",
            seed=3,
            output=folder / "model",
            resume=folder / "resume",
            outlets=Outlets(log, lambda name, rows: None, lambda name, image, step: None, False),
        )
        return metrics, logs, (folder / "model" / "model.safetensors").read_bytes()

    return run


@pytest.fixture
def run(train, tmp_path):
    """The same, in a folder of that name."""
    return lambda name, **changes: train(tmp_path / name, **changes)


@pytest.fixture(scope="module")
def unbroken(train, tmp_path_factory):
    """A run of three steps that nothing disturbed."""
    return train(tmp_path_factory.mktemp("unbroken"))


@pytest.fixture(scope="module")
def one_step(train, tmp_path_factory):
    """Weights after one step with the settings as they are."""
    return train(tmp_path_factory.mktemp("one_step"), steps=1)[2]


def stop_at(number):
    def at_step(step):
        if step == number:
            raise KeyboardInterrupt

    return at_step


def test_same_seed_gives_the_same_weights(run, unbroken):
    assert run("a") == unbroken
    assert unbroken[0]["train/groups"] > 0


def stop(*args):
    raise KeyboardInterrupt


# Killed for real, in every step and while it samples: test_distributed.py.
@pytest.mark.slow
def test_a_run_killed_after_its_last_checkpoint_is_finished(run, unbroken, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(training, "save_policy", stop)
        with pytest.raises(KeyboardInterrupt):
            run("a", save_steps=3)
    assert run("a", save_steps=3)[::2] == unbroken[::2]


@pytest.mark.slow
def test_a_continued_run_draws_the_same_from_the_global_generator(run, monkeypatch):
    def with_dropout(*args):
        loss, metrics = tapo_loss(*args)
        return loss * torch.rand(()), metrics

    monkeypatch.setattr(trainer, "tapo_loss", with_dropout)
    whole = run("whole", steps=2)
    with pytest.raises(KeyboardInterrupt):
        run("killed", steps=2, at_step=stop_at(2))
    assert run("killed", steps=2)[2] == whole[2]


def test_zero_steps_copy_the_start(run, talking_model):
    metrics, _, weights = run("a", steps=0)
    assert weights == (talking_model / "model.safetensors").read_bytes()
    assert metrics["train/steps"] == 0


def test_the_output_loads_offline_with_the_starts_processor(run, talking_model, tmp_path):
    run("a", steps=1)
    folder = tmp_path / "a" / "model"
    AutoProcessor.from_pretrained(folder, local_files_only=True)
    model = AutoModelForImageTextToText.from_pretrained(folder, local_files_only=True)
    assert str(model.dtype) == "torch.float32"
    assert {path.name for path in folder.iterdir()} == {p.name for p in talking_model.iterdir()}


@pytest.mark.slow
def test_the_vision_tower_moves_only_when_it_is_trained(run, talking_model, tmp_path):
    before = load_file(talking_model / "model.safetensors")
    for name, is_trained in (("frozen", False), ("trained", True)):
        run(name, train_vision=is_trained, steps=1, warmup_steps=0)
        after = load_file(tmp_path / name / "model" / "model.safetensors")
        moved = {key for key in before if not before[key].equal(after[key])}
        assert any("visual" in key for key in moved) == is_trained
        assert any("layers" in key and "visual" not in key for key in moved)


@pytest.mark.slow
@pytest.mark.parametrize("in_vision", [False, True])
def test_adapters_are_trained_alone_and_merged_into_the_output(
    run, talking_model, tmp_path, in_vision
):
    run("a", lora_rank=2, train_vision=in_vision, warmup_steps=0, steps=1)
    before = load_file(talking_model / "model.safetensors")
    after = load_file(tmp_path / "a" / "model" / "model.safetensors")
    assert before.keys() == after.keys()
    moved = {name for name in before if not before[name].equal(after[name])}
    assert all(name.endswith("proj.weight") for name in moved)
    assert any("visual" in name for name in moved) == in_vision
    assert sum("visual" not in name for name in moved) == 2 * 7  # layers x targets
    (kept,) = (tmp_path / "a" / "resume" / "checkpoints").glob("step-*")
    assert all("lora" in name for name in load_file(kept / "model.safetensors"))


@pytest.mark.slow
def test_a_run_with_adapters_that_was_killed_goes_on_to_the_same_weights(run):
    changes = {"lora_rank": 2, "steps": 2}
    whole = run("whole", **changes)
    with pytest.raises(KeyboardInterrupt):
        run("killed", at_step=stop_at(2), **changes)
    assert run("killed", **changes)[::2] == whole[::2]


@pytest.mark.slow
def test_gradient_checkpointing_changes_no_weight(run, unbroken):
    # It computes the same again, so the same bits.
    weights = run("a", gradient_checkpointing=True)[2]
    assert weights == unbroken[2]


@pytest.mark.slow
def test_passing_over_degenerate_anchors_is_counted_and_repeatable(run):
    changes = {"explore_rate": 0.1, "max_resamples": 1, "prompts_per_step": 2}
    whole = run("whole", **changes)
    with pytest.raises(KeyboardInterrupt):
        run("killed", at_step=stop_at(3), save_steps=2, **changes)
    assert run("killed", save_steps=2, **changes)[::2] == whole[::2]
    assert whole[0]["rollout/passed_over"] > 0


def test_a_run_in_which_no_group_survives_says_what_to_do(run):
    # Six rollouts have no mean accuracy between 0.98 and 0.99.
    with pytest.raises(RuntimeError, match=r"no group survived.*sft\.epochs"):
        run("a", keep_low=0.98, max_resamples=1, steps=1)


def test_the_released_code_trains_on_a_batch_of_which_nothing_survives(run, talking_model):
    metrics, _, weights = run("a", keep_low=0.98, steps=1, keep_when_all_degenerate=True)
    assert metrics["rollout/refills"] == 0
    assert weights != (talking_model / "model.safetensors").read_bytes()


@pytest.mark.slow
def test_what_is_not_finite_leaves_the_weights(run, talking_model):
    # The loss is finite; squares in the norm of its gradient are not.
    metrics, _, weights = run("a", steps=1, entropy_coef=1e38)
    assert metrics["train/skipped_updates"] == 2
    assert weights == (talking_model / "model.safetensors").read_bytes()


@pytest.fixture
def break_updates(monkeypatch):
    """Make loss and metrics NaN in the micro-batches of these numbers, counted from 1."""

    def arrange(*numbers):
        calls = itertools.count(1)

        def broken(*args):
            loss, metrics = tapo_loss(*args)
            factor = float("nan") if next(calls) in numbers else 1
            return loss * factor, {name: value * factor for name, value in metrics.items()}

        monkeypatch.setattr(trainer, "tapo_loss", broken)

    return arrange


def test_a_step_without_finite_loss_leaves_the_weights(run, break_updates, talking_model):
    break_updates(1, 2)
    metrics, logs, weights = run("a", steps=1)
    assert metrics["train/skipped_updates"] == 2
    assert logs[1]["train/updates"] == 0
    assert "loss/total" not in logs[1]
    assert weights == (talking_model / "model.safetensors").read_bytes()


@pytest.mark.slow
def test_a_fault_at_the_loss_is_a_loss_that_is_not_finite(run):
    faults.arm("tapo:loss:1:nan")
    try:
        metrics, _, _ = run("a", steps=1)
    finally:
        faults.arm(None)
    assert metrics["train/skipped_updates"] == 1


@pytest.mark.slow
def test_a_skipped_update_is_left_out_of_the_means_of_its_step(run, break_updates, unbroken):
    break_updates(2)
    metrics, logs, _ = run("a", steps=3)  # a checkpoint after each step
    assert metrics["train/skipped_updates"] == 1
    assert [logs[step]["train/updates"] for step in logs] == [1, 2, 2]
    # On policy, so the loss of the first update is the same; the second one no longer counts.
    assert 0 < logs[1]["loss/entropy"] != unbroken[1][1]["loss/entropy"]
    assert json.loads(json.dumps(logs, allow_nan=False))


@pytest.mark.slow
def test_three_updates_without_finite_loss_in_a_row_end_the_run(run, break_updates):
    break_updates(2, 3, 4)
    with pytest.raises(RuntimeError, match="not finite in 3 updates in a row"):
        run("a", steps=3)


@pytest.mark.parametrize(
    "changes",
    [
        {"update_image": "own"},
        {"negative_gradient": False},
        {"inter_class_coef": 0.5},
        *(
            pytest.param(changes, marks=pytest.mark.slow)
            for changes in (
                {"kl_ratio": "pos_over_neg"},
                {"negative_image": "blackened"},
                {"augment": False},
                {"entropy_coef": 0.5},
                {"negative_entropy_coef": 0.5},
                {"accuracy_weight": 0.5},
                {"temperature": 1.2},
                {"max_grad_norm": 0.01},
                {"positive_rollouts": 0, "anchor_rollouts": 6},
                {"anchor_rollouts": 0, "positive_rollouts": 6},
                {"strategy": "think"},
                {"minibatches": 1},
            )
        ),
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_switch_changes_the_weights(run, one_step, changes):
    assert run("a", steps=1, **changes)[2] != one_step


def test_settings_that_cannot_work_are_refused_before_the_model_is_read(run):
    with pytest.raises(ValueError, match="at least 2"):
        run("a", anchor_rollouts=1, positive_rollouts=0)
    with pytest.raises(ValueError, match=r"tapo\.minibatches \(3\) must divide"):
        run("a", minibatches=3)
    with pytest.raises(ValueError, match=r"accuracy_weight is 0\.9 .*; set them to 1 and exact"):
        run("a", strategy="direct")
    with pytest.raises(ValueError, match=r"tapo\.answer_match inclusion; set them to 1 and exact"):
        run("a", strategy="direct", accuracy_weight=1.0, answer_match="inclusion")


def test_logged_metrics_are_finite_json(run):
    metrics, logs, _ = run("a", steps=1)
    assert json.loads(json.dumps([metrics, logs[1]], allow_nan=False))
    expected = {
        *("reward/mean", "reward/accuracy", "reward/format"),
        *("rollout/completion_tokens", "rollout/keep_rate", "rollout/refills"),
        *("rollout/unparsed", "rollout/truth_in_options", "rollout/answer_equals_prediction"),
        *("rollout/hedged", "loss/policy", "loss/inter_class_kl", "loss/entropy"),
        *("loss/negative_entropy", "loss/clip_low_fraction", "train/grad_norm", "train/lr"),
    }
    assert expected <= set(logs[1])
