import io

import numpy as np
from PIL import Image

from finer1.datasets.interface import ListedImage
from finer1.inspection.inspecting import Inspected
from finer1.inspection.looking import perceptual_hash
from finer1.inspection.near_duplicates import near_duplicates
from finer1.inspection.near_pairs import NEAR_DISTANCE


def drawn(seed, size=(120, 90)):
    small = np.random.default_rng(seed).integers(0, 255, (7, 9, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def bits_between(one, other):
    return bin(int(perceptual_hash(one), 16) ^ int(perceptual_hash(other), 16)).count("1")


def listed(path, label="Wren", official="train"):
    return ListedImage(path, "bird", label, None, official, b"", f"t:{path}")


def seen(phash, sha256, error=None):
    return Inspected(sha256, phash, 9, 9, (), error)


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
    found = near_duplicates(images, inspected)
    pairs = found.pairs
    assert not found.is_cut
    # `e` and `b` are of two classes and not the same file.
    assert [(pair.first.path, pair.second.path, pair.distance) for pair in pairs] == [
        ("b", "e", 0),
        ("a", "c", 3),
        ("b", "c", 3),
    ]
    assert not pairs[0].is_across_sides


def test_a_list_that_was_cut_says_so(monkeypatch):
    monkeypatch.setattr("finer1.inspection.near_pairs.MOST_PAIRS", 2)
    monkeypatch.setattr("finer1.inspection.near_duplicates.MOST_PAIRS", 2)
    images = [listed(str(n), label=f"Wren {n}") for n in range(4)]
    # The first two are one file: three of the six pairs would do, the copy is none of them.
    inspected = [seen("0" * 16, content) for content in ("1", "1", "2", "3")]
    found = near_duplicates(images, inspected)
    assert (len(found.pairs), found.is_cut) == (2, True)
