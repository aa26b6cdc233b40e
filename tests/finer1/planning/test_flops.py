import pytest

from finer1.planning.activations import Completions
from finer1.planning.assumptions import GPUS, MFU
from finer1.planning.flops import (
    compute_hours,
    decode_hours,
    image_flops,
    kv_bytes,
    packed_flops,
    row_flops,
    trained_flops,
)


def test_cache_of_a_token_of_the_3b(published):
    # Keys and values, 36 layers, 2 heads of 128, bfloat16.
    assert kv_bytes(published["Qwen2.5-VL-3B-Instruct"]) == 2 * 36 * 2 * 128 * 2 == 36_864


@pytest.mark.parametrize(
    ("name", "linear", "head"),
    [("Qwen2.5-VL-3B-Instruct", 5.55e9, 0.62e9), ("Qwen2.5-VL-7B-Instruct", 13.05e9, 1.09e9)],
)
def test_flops_of_a_token(published, name, linear, head):
    # One token attends to itself: half a pair, negligible.
    model = published[name]
    assert row_flops(model, 1, 0) == pytest.approx(linear, rel=2e-3)
    assert row_flops(model, 1, 1) - row_flops(model, 1, 0) == pytest.approx(head, rel=5e-3)


def test_a_packed_group_with_its_image(published):
    # The design's table: P 700, R 400, n 10, 640 image tokens: 33.1 TFLOP a condition.
    model = published["Qwen2.5-VL-3B-Instruct"]
    shape = Completions(
        groups=1, prompt_tokens=700, rollouts=10, completion_tokens=400, conditions=1, patches=2560
    )
    total = packed_flops(model, shape) + image_flops(model.tower, 2560)
    assert total == pytest.approx(33.1e12, rel=0.02)


def test_a_backward_is_two_forwards_and_checkpointing_a_third():
    assert trained_flops(10, 1, is_checkpointed=False, train_vision=True) == 33
    assert trained_flops(10, 1, is_checkpointed=True, train_vision=True) == 44
    assert trained_flops(10, 1, is_checkpointed=True, train_vision=False) == 41


def test_hours_of_flops():
    gpu = GPUS["h200"]
    assert compute_hours(gpu.tflops * 1e12 * MFU * 3600, gpu) == pytest.approx(1)


def test_transformers_waits_for_its_launches(small):
    # 2 layers of 0.5 ms, 36 tokens, 10 completions at once of 20: two rounds, 0.072 s.
    hours = decode_hours(small, GPUS["h200"], 20, 36, 5, 10, is_transformers=True)
    assert hours == pytest.approx(0.072 / 3600)
