"""The benchmarks at toy size: that sides are equal and counts are right, never how long it took."""

import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from benchmarks import gpu, update
from benchmarks.formulas import Work, forward_flops, update_flops
from benchmarks.measure import examine
from benchmarks.objective import update_loss
from benchmarks.replay import draw_group, ragged_lengths
from benchmarks.shapes import QWEN_3B, TINY, GroupShape, build_model, model_config
from benchmarks.sides import B0, B1, B2, OURS, OURS_UNCHECKPOINTED, build_part, split_peer
from finer1.params import load_params
from finer1.tapo.losses import tapo_loss

NOT_NEEDED_ON_A_GPU_MACHINE = (
    *("pydantic", "PIL", "mlflow", "prefect", "dvc", "open_clip", "torchvision", "peft"),
    *("sklearn", "scipy", "matplotlib", "psutil", "rapidfuzz", "ruamel"),
)


@pytest.fixture(scope="module")
def measured():
    model, results = update.run(TINY, update.TINY_GRID)
    return model, results


def accounts(measured, place):
    return {account.side.name: account for account in measured[1][place].accounts}


@pytest.mark.slow
def test_all_sides_compute_one_update(measured):
    for result in measured[1]:
        assert result.is_exact, [
            (account.side.name, account.logprob_error, account.gradient_error)
            for account in result.accounts
        ]


@pytest.mark.slow
def test_sides_see_the_tokens_and_images_of_their_formulas(measured):
    for result in measured[1]:
        for account in result.accounts:
            work, counts = account.side.work, account.counts
            assert (counts.tokens, counts.images) == (work.tokens, work.images)
            assert counts.patches == sum(height * width for height, width in work.grids)


@pytest.mark.slow
def test_token_and_image_counts_by_hand(measured):
    # 12 text tokens; 8 x 8 patches are 16 image tokens, 6 x 8 are 12: P 28 and 24. Four
    # completions of 9, 9, 11 and 11 tokens, padded to 11 by TRL.
    _, split, _, _, _ = measured[1][0].accounts
    sides = accounts(measured, 0) | {update.B0_SPLIT: split}
    naive = 4 * (28 + 11) + 4 * (24 + 11)
    assert {
        name: (sides[name].counts.tokens, sides[name].counts.images)
        for name in (B0, update.B0_SPLIT, B1, B2, OURS)
    } == {
        B0: (naive, 8),
        update.B0_SPLIT: (naive, 8),
        B1: (naive, 2),
        B2: (naive, 8),
        OURS: ((27 + 40) + (23 + 40), 2),
    }


@pytest.mark.slow
def test_less_is_kept_for_the_backward(measured):
    sides = accounts(measured, 0)
    assert sides[OURS].saved_bytes < sides[B1].saved_bytes < sides[B0].saved_bytes
    checkpointed = accounts(measured, 2)
    assert checkpointed[OURS].saved_bytes < checkpointed[OURS_UNCHECKPOINTED].saved_bytes


@pytest.fixture
def tiny():
    """A tiny model and a group of four rollouts."""
    model = build_model(TINY, 0, "cpu", torch.float32)
    return model, draw_group(model, GroupShape(12, (4, 4), (4, 6), 10, 4), seed=0)


@pytest.mark.parametrize("size", [1, 3])
def test_a_split_side_computes_the_same_update_and_keeps_less(tiny, size):
    model, replay = tiny
    part = build_part(model, replay, is_checkpointed=False)
    old = part.score_anchor(B0) + replay.old_noise
    split = split_peer(model, replay, size, "split", is_checkpointed=False)
    assert [len(replay.completion_ids[b.rows]) for b in split.micro_batches] == (
        [1, 1, 1, 1] if size == 1 else [3, 1]
    )
    whole, parts = examine(model, replay, [part.sides[B0], split], old)
    assert parts.is_exact
    assert parts.saved_bytes < whole.saved_bytes


def test_a_model_without_a_packed_forward_is_refused(tiny):
    model, replay = tiny
    model.config.model_type = "qwen3_vl"
    with pytest.raises(ValueError, match="does not support model type qwen3_vl"):
        build_part(model, replay, is_checkpointed=False)


def test_a_side_that_sees_other_tokens_than_its_formula_is_refused(tiny):
    model, replay = tiny
    part = build_part(model, replay, is_checkpointed=False)
    wrong = replace(part.sides[OURS], work=part.sides[B0].work)
    with pytest.raises(RuntimeError, match=r"ours went through \d+ tokens and 2 images"):
        examine(model, replay, [wrong], part.score_anchor(B0))


@pytest.mark.slow
def test_counted_flops_are_near_the_formula(measured):
    model, results = measured
    for result in results:
        for account in result.accounts:
            formula = update_flops(model, account.side.work, account.side.is_checkpointed)
            # The counter takes whole rectangles of attention where the formula takes triangles,
            # and no gradient of the pixels.
            assert account.counts.flops == pytest.approx(formula, rel=0.15)


def test_flops_of_a_token_by_hand():
    # A layer of hidden 64: query and output 64 x 64 each, key and value 64 x 32 each, three of
    # 64 x 96: 30720 weights. Two layers, two FLOPs per weight, forward and twice as much backward.
    model = build_model(TINY, 0, "cpu", torch.float32)
    token = Work(tokens=1, pairs=0, scored=0, grids=())
    assert update_flops(model, token, False) == 3 * 2 * 2 * 30720
    assert update_flops(model, token, True) == 4 * 2 * 2 * 30720


def test_flops_of_3b_by_hand():
    # P 700, 640 of them visual, R 400, n 10. A token costs the decoder 36 layers of 77.07 M
    # weights, 5.549 GFLOP, and the head 0.622. A visual token costs the tower 5.37 GFLOP. Rows:
    # 11000 tokens 61.04 T, attention 6050000 pairs of 294912 FLOP 1.78 T, head 2.49 T, ten images
    # of 3.438 T: 99.69. Shared: 4700 tokens 26.08 T, 3845000 pairs 1.13 T, head 2.49 T, one image.
    model = SimpleNamespace(config=model_config(QWEN_3B))
    image = ((40, 64),)
    rows = Work(tokens=11000, pairs=10 * 1100**2 // 2, scored=4000, grids=image * 10)
    shared = Work(4700, 700**2 // 2 + 10 * (700 * 400 + 400**2 // 2), 4000, image)
    assert forward_flops(model, rows) == pytest.approx(99.69e12, rel=1e-4)
    assert forward_flops(model, shared) == pytest.approx(33.14e12, rel=1e-4)


@pytest.mark.slow
def test_the_noise_takes_ratios_out_of_the_clip(measured):
    inside = [
        ((result.replay.old_noise > -0.247) & (result.replay.old_noise < 0.223)).float().mean()
        for result in measured[1]
    ]
    assert all(0.5 < share < 0.95 for share in inside)  # log 1.28 = 0.247, log 0.8 = -0.223


@pytest.mark.slow
def test_unequal_sides_get_no_ratio(measured):
    model, results = measured
    base, ours = results[1].accounts
    wrong = replace(results[1], accounts=[base, replace(ours, logprob_error=2e-5)])
    text = update.report(model, [results[0], wrong])
    assert "NOT EQUAL" in text
    assert "|" not in text


def test_the_loss_is_that_of_the_stage(tiny, repository):
    torch.manual_seed(0)
    replay = tiny[1]
    shape = replay.completion_ids.shape
    logprobs = [-5 + torch.randn(shape) for _ in range(2)]
    old = logprobs[0] + replay.old_noise
    settings = load_params(repository / "params.yaml").tapo
    want, _ = tapo_loss(
        logprobs[0],
        old,
        logprobs[1],
        replay.advantages,
        replay.completion_mask,
        replay.num_tokens,
        settings,
    )
    torch.testing.assert_close(update_loss(logprobs, old, replay), want)


def test_ragged_lengths_have_the_mean_asked_for():
    lengths = ragged_lengths(10, 100, torch.Generator().manual_seed(0))
    assert lengths.sum() == 1000
    assert lengths.min() >= 90
    assert lengths.max() <= 110
    assert len(lengths.unique()) > 5


@pytest.mark.slow
def test_gpu_script_runs_at_toy_size():
    text, is_equal = gpu.run(gpu.TOY, "cpu", None)
    assert is_equal
    assert "| P 28 R 10 n 4 | ours, no checkpointing |" in text


@pytest.mark.slow
def test_gpu_script_needs_few_packages(repository):
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({NOT_NEEDED_ON_A_GPU_MACHINE!r}));"
        "from benchmarks.gpu import main; sys.exit(main(['--tiny']))"
    )
    subprocess.run([sys.executable, "-c", program], cwd=repository, check=True)
