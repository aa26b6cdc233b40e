from dataclasses import replace

import pytest

from finer1.planning.activations import (
    Completions,
    Forward,
    block_kept,
    layer_kept,
    packed_forward,
    plain_forward,
)
from finer1.planning.training import Method, backward_peak, optimizer_peak

FULL = Method(
    adapters=0,
    train_vision=True,
    is_checkpointed=False,
    mixed=False,
    on_gpu=True,
    accumulates=False,
    has_moments=True,
    shards=1,
    bucket_copies=0,
)
ROW = Forward(tokens=100, keys=120, key_width=4, scored=30, patches=40)


def test_a_packed_row_has_each_prompt_once(small):
    shape = Completions(
        groups=2, prompt_tokens=11, rollouts=3, completion_tokens=5, conditions=2, patches=8
    )
    # 4 prompts of 10 tokens and 12 completions of 5; each of those sees its prompt and itself.
    forward = packed_forward(small.decoder, shape)
    assert (forward.tokens, forward.keys, forward.scored) == (100, 40 + 12 * 15, 60)
    assert (forward.key_width, forward.patches) == (4, 32)


def test_padded_rows_keep_keys_for_every_head(small):
    assert plain_forward(small.decoder, 3, 20, 5, 8) == Forward(60, 60, 8, 15, 24)
    assert plain_forward(small.decoder, 1, 20, 5, 8).key_width == 4


def test_a_layer_keeps_what_autograd_saves(small):
    # float32, per token: two norms keep 3 x 8 numbers each, o_proj 8, the MLP 4 x 16, attention
    # query and output 2 x 8, sums 4 heads + 2 norms; keys and values 2 x 4 at 120 places.
    per_token = 4 * (6 * 8 + 8 + 4 * 16 + 2 * 8 + 6)
    assert layer_kept(small.decoder, ROW, mixed=False) == 100 * per_token + 120 * 4 * 8
    # bfloat16: norms keep 4 x 8 float32 numbers; inputs of six linear layers 2 bytes each.
    per_token = 4 * 4 * 8 + 2 * 6 * 8 + 2 * (4 * 16 + 2 * 8) + 4 * 6
    assert layer_kept(small.decoder, ROW, mixed=True) == 100 * per_token + 120 * 2 * 8


def test_a_block_keeps_what_autograd_saves(small):
    # float32, per patch: norms 6 x 4, query and key 8, qkv 12, output 4, the MLP 4 x 6, sums 2 + 2.
    assert block_kept(small.tower, 10, mixed=False) == 10 * 4 * (24 + 24 + 24 + 4)


def test_adamw_holds_eight_bytes_a_trained_parameter(small):
    peak = optimizer_peak(small, FULL)
    assert peak.weights == peak.gradients == 4 * small.parameters
    assert peak.moments == 8 * small.parameters
    # Two float32 copies of the largest tensor, an 8 x 16 projection.
    assert peak.work == 8 * 128
    frozen = optimizer_peak(small, replace(FULL, train_vision=False))
    assert frozen.moments == 8 * small.decoder.parameters
    assert frozen.weights == peak.weights


def test_adapters_are_all_that_has_gradients_and_moments(small):
    peak = optimizer_peak(small, replace(FULL, adapters=100))
    assert (peak.gradients, peak.moments) == (400, 800)
    assert peak.weights == 4 * (small.parameters + 100)


def test_shards_divide_weights_gradients_and_moments(small):
    whole, half = (optimizer_peak(small, replace(FULL, shards=n)) for n in (1, 2))
    assert half.weights == whole.weights // 2
    assert half.moments == whole.moments // 2


def test_ddp_holds_a_copy_of_the_gradients(small):
    peak = optimizer_peak(small, replace(FULL, bucket_copies=1))
    assert peak.gradients == 8 * small.parameters


def test_activations_weigh_at_the_start_and_gradients_at_the_end(published):
    model = published["Qwen2.5-VL-3B-Instruct"]
    long = Forward(tokens=20_000, keys=40_000, key_width=256, scored=15_000, patches=5120)
    short = Forward(tokens=50, keys=50, key_width=256, scored=20, patches=16)
    # Of gradients those of the head, whose table the embedding shares, and of the last norm.
    assert backward_peak(model, long, FULL).gradients == 4 * (151_936 * 2048 + 2048)
    peak = backward_peak(model, short, FULL)
    assert peak.gradients == 4 * model.parameters
    assert peak.activations < 2**20


def test_checkpointing_keeps_a_layers_input(published):
    model = published["Qwen2.5-VL-3B-Instruct"]
    row = Forward(tokens=20_000, keys=40_000, key_width=256, scored=15_000, patches=5120)
    method = replace(FULL, mixed=True, train_vision=False, accumulates=True)
    full = backward_peak(model, row, method)
    saved = backward_peak(model, row, replace(method, is_checkpointed=True))
    # 36 inputs of 20,000 x 2048 float32 numbers are 5.5 GiB; autocast's copies of weights 5.2.
    assert 5.5 * 2**30 < saved.activations < 14 * 2**30
    assert full.activations > 95 * 2**30


@pytest.mark.parametrize("accumulates", [False, True])
def test_a_peak_is_the_sum_of_its_parts(small, accumulates):
    peak = backward_peak(small, ROW, replace(FULL, accumulates=accumulates))
    parts = (peak.weights, peak.gradients, peak.moments, peak.activations, peak.work)
    assert peak.total == sum(parts)
    assert all(part >= 0 for part in parts)


def test_accumulated_gradients_are_there_from_the_start(small):
    peak = backward_peak(small, ROW, replace(FULL, accumulates=True))
    assert peak.gradients == 4 * small.parameters
