import io

import numpy as np
import pytest
from PIL import Image

from finer1.datasets.interface import ListedImage
from finer1.inspection import near_duplicates as module
from finer1.inspection.inspecting import Inspected
from finer1.inspection.looking import perceptual_hash
from finer1.inspection.near_duplicates import NEAR_DISTANCE, near_duplicates, near_pairs


def drawn(seed, size=(120, 90)):
    small = np.random.default_rng(seed).integers(0, 255, (7, 9, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def bits_between(one, other):
    return bin(int(perceptual_hash(one), 16) ^ int(perceptual_hash(other), 16)).count("1")


def listed(path, label="Wren", official="train"):
    return ListedImage(path, "bird", label, None, official, b"", f"t:{path}")


def seen(phash, sha256, error=None):
    return Inspected(sha256, phash, 9, 9, (), error)


def test_pairs_are_those_within_the_threshold():
    # 0 and 3: 2 bits; 0 and 7: 3; 3 and 7: 1; f...f is 60 and more from all.
    hashes = ["0" * 16, "0" * 15 + "3", "0" * 15 + "7", "f" * 16]
    assert near_pairs(hashes, 2) == [(0, 1, 2), (1, 2, 1)]
    assert near_pairs(hashes, 3) == [(0, 1, 2), (0, 2, 3), (1, 2, 1)]


def test_pairs_of_one_kind_are_left_out():
    assert near_pairs(["0" * 16] * 3, 0, [1, 1, 2]) == [(0, 2, 0), (1, 2, 0)]


@pytest.mark.parametrize("block", [(1, 1), (2, 3), (16, 8192)])
def test_blocks_do_not_change_the_pairs(block, monkeypatch):
    values = np.random.default_rng(0).integers(0, 64, 40)
    expected = [
        (i, j, int(values[i] ^ values[j]).bit_count())
        for i in range(40)
        for j in range(i + 1, 40)
        if int(values[i] ^ values[j]).bit_count() <= 2
    ]
    monkeypatch.setattr(module, "_ROWS", block[0])
    monkeypatch.setattr(module, "_COLUMNS", block[1])
    assert near_pairs([f"{value:016x}" for value in values], 2) == expected


def test_the_list_ends_at_its_limit(monkeypatch):
    monkeypatch.setattr(module, "MOST_PAIRS", 5)
    assert near_pairs(["0" * 16] * 9, 0) == [(0, j, 0) for j in range(1, 6)]


def test_no_hash_gives_no_pair():
    assert near_pairs([], 8) == []


def test_a_smaller_grey_copy_of_low_quality_is_near():
    file = io.BytesIO()
    drawn(1).resize((60, 45)).convert("L").save(file, "JPEG", quality=20)
    with Image.open(file) as copy:
        assert bits_between(drawn(1), copy) <= NEAR_DISTANCE


def test_other_pictures_are_far():
    # Half of 64 bits differ on average, with a deviation of 4: 6 is more than six deviations off.
    assert min(bits_between(drawn(0), drawn(seed)) for seed in range(1, 20)) > 2 * NEAR_DISTANCE


def test_a_flat_picture_has_no_bits():
    assert perceptual_hash(Image.new("RGB", (50, 40), (9, 200, 3))) == "0" * 16


def test_near_duplicates_are_across_classes_or_sides_and_no_copies():
    images = [
        listed("a"),
        listed("b"),  # as near to `a`, but of its class and side
        listed("c", label="Robin"),
        listed("d", official="test"),
        listed("e", label="Robin"),  # the same file as `a`: an exact duplicate
        listed("f", label="Robin"),  # unreadable
    ]
    zero = "0" * 16
    inspected = [
        seen(zero, "1"),
        seen(zero, "2"),
        seen("0" * 15 + "7", "3"),
        seen("f" * 16, "4"),
        seen(zero, "1"),
        seen("", "", "broken"),
    ]
    pairs = near_duplicates(images, inspected)
    # `e` and `b` are of two classes and not the same file.
    assert [(pair.first.path, pair.second.path, pair.distance) for pair in pairs] == [
        ("b", "e", 0),
        ("a", "c", 3),
        ("b", "c", 3),
    ]
    assert not pairs[0].is_across_sides
