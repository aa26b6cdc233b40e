import hashlib

import torch

from finer1.encoders.interface import hash_weights, in_batches


def test_the_hash_is_over_facts_names_kinds_shapes_and_bytes():
    # Worked by hand: JSON of the facts, then per tensor its head and its little-endian bytes.
    text = b'["r"]' + b"\0w torch.float32 [1, 2]\0" + b"\x00\x00\x80\x3f\x00\x00\x00\x40"
    assert (
        hash_weights({"w": torch.tensor([[1.0, 2.0]])}, ["r"]) == hashlib.sha256(text).hexdigest()
    )


def test_the_order_of_weights_does_not_matter_and_their_shape_does():
    one = {"a": torch.zeros(2, 3), "b": torch.ones(1)}
    assert hash_weights(one, 0) == hash_weights(dict(reversed(one.items())), 0)
    assert hash_weights(one, 0) != hash_weights(one | {"a": torch.zeros(3, 2)}, 0)


def test_a_scalar_has_a_hash():
    assert hash_weights({"scale": torch.tensor(2.0)}, 0)


def test_batches_cover_everything_once():
    items = list(range(70))
    assert [i for part in in_batches(items) for i in items[part]] == items
    assert [len(items[part]) for part in in_batches(items)] == [32, 32, 6]
    assert in_batches([]) == []
