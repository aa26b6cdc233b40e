import itertools
import math

import pytest
from PIL import Image
from safetensors.torch import load_file
from trl import SFTTrainer

from finer1 import faults
from finer1.params import load_params
from finer1.prompts import answer_completion, rationale_completion, sections_text
from finer1.sft import SftExample, train_sft
from finer1.sft_plan import SftPlan


@pytest.fixture(scope="module")
def params(repository):
    return load_params(repository / "params.yaml")


def examples(count=5):
    colours = ("red", "green", "blue", "white", "black")
    return [
        SftExample(
            image=Image.new("RGB", (32, 32), colour),
            question="What is it?",
            completion=rationale_completion(sections_text("x", ("a", "b"), "y", "a"), "a"),
        )
        for colour in colours[:count]
    ]


@pytest.fixture
def run(tiny_model, params, tmp_path):
    def train(name, rows=None, at_step=lambda step: None, runtime=None, **changes):
        logs = {}

        def log(metrics, step):
            at_step(step)
            logs.setdefault(step, {}).update(metrics)

        short = {"epochs": 2, "max_epochs": 2, "batch_size": 2, "lr": 1e-3}
        metrics = train_sft(
            base=tiny_model,
            examples=rows or examples(),
            settings=params.sft.model_copy(update=short | changes),
            runtime=params.runtime.model_copy(update={"save_steps": 1} | (runtime or {})),
            system_prompt="",
            seed=0,
            output=tmp_path / name / "model",
            resume=tmp_path / name / "resume",
            log=log,
        )
        weights = (tmp_path / name / "model" / "model.safetensors").read_bytes()
        return metrics, logs, weights

    return train


def plan(params, num_rows, **changes):
    return SftPlan(num_rows, params.sft.model_copy(update=changes), seed=0)


def test_same_seed_gives_the_same_weights(run):
    assert run("a") == run("b")


def test_a_killed_run_ends_as_an_unbroken_one(run):
    whole = run("a")

    def die(step):
        if step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run("b", at_step=die, runtime={"save_steps": 2})
    assert run("b", runtime={"save_steps": 2})[::2] == whole[::2]


def test_training_lowers_the_loss(run):
    # Uniform over about 275 tokens is log 275 = 5.6.
    metrics, logs, _ = run("a", epochs=10, max_epochs=10, lr=1e-2)
    assert logs[1]["train/loss"] == pytest.approx(math.log(275), abs=0.3)
    assert metrics["train/loss"] < 0.8 * logs[1]["train/loss"]
    assert metrics["train/rows"] == 5
    assert metrics["train/steps"] == 25  # 10 x 5 rows / 2


@pytest.fixture
def break_steps(monkeypatch):
    """Make the loss NaN in the steps of these numbers, counted from 1."""

    def arrange(*numbers):
        calls, original = itertools.count(1), SFTTrainer.training_step

        def training_step(self, *args, **kwargs):
            loss = original(self, *args, **kwargs)
            return loss * float("nan") if next(calls) in numbers else loss

        monkeypatch.setattr(SFTTrainer, "training_step", training_step)

    return arrange


def test_a_step_without_finite_loss_leaves_the_weights(run, break_steps, tiny_model, tmp_path):
    break_steps(1)
    metrics, logs, _ = run("a", epochs=0.4)  # one batch of two of the five rows
    assert metrics["train/skipped_updates"] == metrics["train/steps"] == 1
    assert "train/loss" not in metrics | logs[1]
    before = load_file(tiny_model / "model.safetensors")
    after = load_file(tmp_path / "a" / "model" / "model.safetensors")
    assert all(before[name].equal(after[name]) for name in before)


@pytest.mark.slow
def test_a_fault_at_the_loss_is_a_loss_that_is_not_finite(run):
    faults.arm("sft:loss:1:nan")
    try:
        metrics, _, _ = run("a", epochs=0.4)
    finally:
        faults.arm(None)
    assert metrics["train/skipped_updates"] == 1


@pytest.mark.slow
def test_a_run_goes_on_after_steps_without_finite_loss(run, break_steps):
    break_steps(2, 3)
    metrics, logs, _ = run("a", epochs=2)  # five steps, a checkpoint after each
    assert metrics["train/skipped_updates"] == 2
    assert [step for step in logs if "train/loss" in logs[step]] == [1, 4, 5]
    assert math.isfinite(metrics["train/loss"])


@pytest.mark.slow
def test_three_steps_without_finite_loss_in_a_row_end_the_run(run, break_steps):
    break_steps(2, 3, 4)
    with pytest.raises(RuntimeError, match="not finite in 3 updates in a row"):
        run("a", epochs=2)


def test_only_the_completion_counts(run):
    # The question is part of the prompt: with lr ~ 0 its length leaves the loss nearly as it is,
    # where a loss over the prompt would be dominated by it.
    _, logs, _ = run("a", lr=1e-12, epochs=1, max_epochs=1)
    longer = [SftExample(e.image, e.question * 20, e.completion) for e in examples()]
    assert run("b", rows=longer, lr=1e-12, epochs=1, max_epochs=1)[1][1]["train/loss"] == (
        pytest.approx(logs[1]["train/loss"], abs=0.15)
    )


@pytest.mark.slow
def test_accumulation_leaves_the_first_step_as_it_is(run):
    _, whole, _ = run("a", batch_size=4)
    _, parts, _ = run("b", batch_size=4, runtime={"micro_batch": 1})
    for name in ("train/loss", "train/grad_norm"):
        assert parts[1][name] == pytest.approx(whole[1][name], rel=1e-4)


def test_training_goes_on_until_the_format_is_learnt(run):
    rows = [SftExample(e.image, e.question, answer_completion("a")) for e in examples()]
    metrics, logs, _ = run("a", rows=rows, epochs=1, max_epochs=60, min_format_rate=0.9, lr=1e-2)
    rates = [metrics["train/format_rate"] for metrics in logs.values() if len(metrics) > 3]
    assert rates[-1] >= 0.9
    assert all(rate < 0.9 for rate in rates[:-1])
    assert 3 < metrics["train/steps"] < 150
    assert metrics["train/format_rate"] == rates[-1]


def test_a_format_that_is_not_learnt_is_an_error(run, tmp_path):
    # One step of a random model: nothing that it writes has the four sections.
    with pytest.raises(RuntimeError, match=r"after 0\.4 epochs 0\.0%.*raise sft\.max_epochs"):
        run("a", epochs=0.4, max_epochs=0.4, min_format_rate=0.5)
    assert not (tmp_path / "a" / "model").exists()


@pytest.mark.slow
def test_the_vision_tower_moves_only_when_it_is_trained(run, tiny_model, tmp_path):
    before = load_file(tiny_model / "model.safetensors")
    for name, is_trained in (("frozen", False), ("trained", True)):
        run(name, train_vision=is_trained, epochs=0.5)
        after = load_file(tmp_path / name / "model" / "model.safetensors")
        moved = [key for key in before if "visual" in key and not before[key].equal(after[key])]
        assert bool(moved) == is_trained


def test_fewer_epochs_at_most_than_at_least_are_refused(run):
    with pytest.raises(ValueError, match=r"sft\.max_epochs \(1.0\) must not be below"):
        run("a", epochs=2, max_epochs=1.0, min_format_rate=0.5)


def test_a_plan_covers_whole_passes(params):
    # 2 epochs of 42 rows in batches of 8: 84 / 8 = 10.5 batches, so 11.
    made = plan(params, 42, epochs=2, batch_size=8)
    assert made.num_steps == 11
    order = made.order()
    assert len(order) == 88
    assert sorted(order[:42]) == sorted(order[42:84]) == list(range(42))
    assert order[:42] != order[42:84]


def test_a_part_of_an_epoch_is_possible(params):
    assert plan(params, 40, epochs=0.5, batch_size=8).num_steps == 3  # 20 / 8 = 2.5


def test_the_format_is_looked_at_after_each_further_epoch(params):
    made = plan(params, 8, epochs=2, max_epochs=4, batch_size=4, min_format_rate=0.5)
    assert made.check_steps() == {4, 6, 8}
    assert made.num_steps == 8
    assert plan(params, 8, epochs=2, max_epochs=4, batch_size=4).check_steps() == set()


def test_steps_take_the_place_of_epochs(params):
    # 3 steps of 4 rows are one pass over 10 rows and two of the next.
    made = plan(params, 10, epochs=7, steps=3, batch_size=4)
    assert made.num_steps == 3
    assert sorted(made.order()[:10]) == list(range(10))
    assert len(made.order()) == 12
    assert (made.lr_factor(0), made.check_steps()) == (1.0, set())


def test_as_many_steps_as_asked_for_are_made(run):
    metrics, logs, _ = run("a", steps=3)
    assert metrics["train/steps"] == 3
    assert list(logs) == [1, 2, 3]


def test_steps_and_a_format_to_be_reached_exclude_each_other(run):
    with pytest.raises(ValueError, match=r"set sft\.steps to null, or sft\.min_format_rate to 0"):
        run("a", steps=3, min_format_rate=0.5)


def test_bounds_on_pixels_go_into_the_models_folder(run, tmp_path):
    run("bounded", min_pixels=1024, max_pixels=2048)
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(tmp_path / "bounded/model", local_files_only=True)
    # 64 x 64 pixels are more than 2,048: 5 x 5 patches of 8 would be 1,600, and grids are even.
    grid = processor.image_processor(Image.new("RGB", (64, 64)), return_tensors="pt")
    assert grid["image_grid_thw"].tolist() == [[1, 4, 4]]


def test_bounds_on_pixels_must_not_cross(run):
    with pytest.raises(
        ValueError, match=r"sft\.min_pixels \(9\) must not be above sft\.max_pixels"
    ):
        run("crossed", min_pixels=9, max_pixels=8)
