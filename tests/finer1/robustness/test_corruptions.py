from typing import get_args

import numpy as np
import pytest
from PIL import Image

from finer1.evaluation_params import Corruption
from finer1.images import decode_image
from finer1.robustness.corruptions import (
    CORRUPTIONS,
    corrupt,
    corrupted_sha256,
)

SEVERITIES = range(1, 6)
KEEP_GREY = (
    "defocus_blur",
    "motion_blur",
    "fog",
    "brightness",
    "contrast",
    "pixelate",
    "jpeg_compression",
)
RECIPE_1 = {
    "gaussian_noise": 31.2,
    "shot_noise": 35.0,
    "impulse_noise": 12.8,
    "defocus_blur": 5.0,
    "motion_blur": 7.2,
    "fog": 42.8,
    "brightness": 55.6,
    "contrast": 25.3,
    "pixelate": 4.4,
    "jpeg_compression": 11.4,
}
"""Damage at severity 3 to the drawn image of 64 x 64 pixels."""

every_corruption = pytest.mark.parametrize("name", CORRUPTIONS)


def drawn(width, height, seed=0):
    """Coloured rectangles: edges, flat parts, dark and bright ones."""
    generator = np.random.default_rng(seed)
    pixels = np.full((height, width, 3), 128, dtype=np.uint8)
    for _ in range(12):
        top, left = generator.integers(0, height - 4), generator.integers(0, width - 4)
        rows, columns = generator.integers(3, height // 2), generator.integers(3, width // 2)
        pixels[top : top + rows, left : left + columns] = generator.integers(0, 256, 3)
    return Image.fromarray(pixels)


def damage(image, name, severity):
    """Mean absolute difference to the image, of 255."""
    copy = corrupt(image, name, severity, seed=0, image_id="world/x.png")
    return np.abs(np.asarray(copy, float) - np.asarray(image, float)).mean()


def psnr(image, name, severity):
    copy = corrupt(image, name, severity, seed=0, image_id="world/x.png")
    error = (np.asarray(copy, float) - np.asarray(image, float)) ** 2
    return 10 * np.log10(255**2 / error.mean())


@every_corruption
def test_equal_arguments_give_equal_pixels(name):
    first, second = (corrupt(drawn(40, 30), name, 3, 0, "world/x.png") for _ in range(2))
    assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize("name", ["gaussian_noise", "shot_noise", "impulse_noise", "fog"])
def test_what_is_drawn_follows_seed_and_image(name):
    image = drawn(40, 30)
    copies = [
        corrupt(image, name, 3, seed, key).tobytes() for seed, key in ((0, "a"), (1, "a"), (0, "b"))
    ]
    assert len(set(copies)) == 3


@every_corruption
@pytest.mark.parametrize("size", [(16, 16), (16, 23), (64, 64), (97, 61), (16, 200)])
def test_size_and_mode_stay(name, size):
    for severity in SEVERITIES:
        copy = corrupt(drawn(*size), name, severity, 0, "world/x.png")
        assert (copy.size, copy.mode) == (size, "RGB")


@every_corruption
@pytest.mark.parametrize("size", [(16, 16), (64, 64), (300, 240)])
def test_damage_grows_with_severity(name, size):
    image = drawn(*size)
    amounts = [damage(image, name, severity) for severity in SEVERITIES]
    assert amounts[0] > 0
    assert amounts == sorted(set(amounts))


@every_corruption
def test_signal_to_noise_falls_with_severity(name):
    ratios = [psnr(drawn(64, 64), name, severity) for severity in SEVERITIES]
    assert ratios == sorted(set(ratios), reverse=True)


@every_corruption
def test_the_worst_severity_spares_something_and_the_least_is_no_ruin(name):
    # Of a picture whose mean distance to its own mean is about 60 of 255.
    image = drawn(64, 64)
    assert damage(image, name, 1) < 45
    assert 8 < damage(image, name, 5) < 110


@every_corruption
def test_real_photographs_suffer_more_at_each_severity(name, real_photographs):
    for content in real_photographs:
        image = decode_image(content, "photograph")
        image.thumbnail((160, 160))
        amounts = [damage(image, name, severity) for severity in SEVERITIES]
        assert amounts == sorted(set(amounts))


@pytest.mark.parametrize("name", KEEP_GREY)
def test_grey_stays_grey(name):
    image = drawn(64, 48).convert("L").convert("RGB")
    for severity in SEVERITIES:
        copy = np.asarray(corrupt(image, name, severity, 0, "x"), dtype=int)
        assert np.ptp(copy, axis=2).max() <= 1


def test_severity_0_is_the_image_itself():
    image = drawn(20, 20)
    assert corrupt(image, "none", 0, 0, "x") is image


def test_an_image_of_one_colour_is_not_blurred():
    image = Image.new("RGB", (40, 30), (10, 200, 90))
    for name in ("defocus_blur", "motion_blur", "contrast", "pixelate"):
        assert damage(image, name, 5) == 0


def test_noise_has_the_deviation_of_its_severity():
    # Half grey, 0.10 of 255 is 25.5; no value is clipped at 5 deviations from the border.
    image = Image.new("RGB", (128, 128), (128, 128, 128))
    copy = np.asarray(corrupt(image, "gaussian_noise", 2, 0, "x"), float)
    assert (copy - 128).std() == pytest.approx(25.5, abs=0.5)


def test_photons_spread_as_their_square_root():
    # 32 photons for white, so 16 for half grey: deviation 4 of 32, of 255 that is 31.9.
    image = Image.new("RGB", (128, 128), (128, 128, 128))
    copy = np.asarray(corrupt(image, "shot_noise", 2, 0, "x"), float)
    assert copy.std() == pytest.approx(31.9, abs=0.6)


def test_impulses_hit_their_share_of_the_values():
    image = Image.new("RGB", (128, 128), (128, 128, 128))
    copy = np.asarray(corrupt(image, "impulse_noise", 3, 0, "x"))
    assert (copy == 0).mean() == pytest.approx(0.05, abs=0.005)
    assert (copy == 255).mean() == pytest.approx(0.05, abs=0.005)


def test_contrast_keeps_the_mean_and_a_share_of_the_distance():
    pixels = np.zeros((16, 16, 3), dtype=np.uint8)
    pixels[:, 8:] = 200  # mean 100, both halves 100 away, of which 0.22 stay
    copy = np.asarray(corrupt(Image.fromarray(pixels), "contrast", 3, 0, "x"))
    assert (copy[:, :8] == 78).all()
    assert (copy[:, 8:] == 122).all()


def test_brightness_keeps_the_hue():
    # Value 100 of 255 rises by 0.2 * 255 = 51 to 151, the others in proportion.
    image = Image.new("RGB", (16, 16), (100, 50, 0))
    copy = corrupt(image, "brightness", 2, 0, "x")
    assert copy.getpixel((0, 0)) == (151, 76, 0)


def test_black_becomes_grey_when_it_is_brightened():
    image = Image.new("RGB", (16, 16))
    assert corrupt(image, "brightness", 1, 0, "x").getpixel((3, 3)) == (26, 26, 26)


def test_a_point_is_blurred_to_a_disk_of_the_radius():
    # 0.046 of 200 pixels and half a pixel: 9.7; the point is a square that reaches 2 pixels out.
    image = Image.new("RGB", (200, 220))
    image.paste((255, 255, 255), (98, 108, 103, 113))
    copy = np.asarray(corrupt(image, "defocus_blur", 5, 0, "x"))[..., 0]
    for places in np.nonzero(copy):
        assert np.ptp(places) == pytest.approx(2 * (9.7 + 2), abs=1.5)


def test_the_border_is_mirrored():
    # A row of light at the upper border: what is blurred out of it comes back.
    image = Image.new("RGB", (64, 64))
    image.paste((255, 255, 255), (0, 0, 64, 12))
    copy = np.asarray(corrupt(image, "defocus_blur", 5, 0, "x"), float)
    assert (copy[0] == 255).all()
    assert copy[..., 0].sum() == pytest.approx(12 * 64 * 255, rel=0.01)


@pytest.mark.parametrize("name", ["gaussian_noise", "shot_noise", "pixelate", "defocus_blur"])
def test_a_large_image_is_damaged_as_its_small_copy(name):
    small = drawn(112, 112).resize((224, 224), Image.Resampling.NEAREST)
    large = small.resize((448, 448), Image.Resampling.NEAREST)
    copy = corrupt(large, name, 3, 0, "x").resize((224, 224), Image.Resampling.BOX)
    seen = np.abs(np.asarray(copy, float) - np.asarray(small, float)).mean()
    assert seen == pytest.approx(damage(small, name, 3), rel=0.15)


def test_the_recipe_is_as_its_number_says():
    # Whoever changes a damaged image raises RECIPE, and then these numbers.
    image = drawn(64, 64)
    amounts = {name: damage(image, name, 3) for name in CORRUPTIONS}
    assert amounts == pytest.approx(RECIPE_1, abs=0.06)


def test_hashes_differ_by_all_that_changes_the_pixels():
    base = ("ab" * 32, "fog", 1, 0, "x")
    others = [
        ("cd" * 32, "fog", 1, 0, "x"),
        ("ab" * 32, "contrast", 1, 0, "x"),
        ("ab" * 32, "fog", 2, 0, "x"),
        ("ab" * 32, "fog", 1, 1, "x"),
        ("ab" * 32, "fog", 1, 0, "y"),
    ]
    assert len({corrupted_sha256(*arguments) for arguments in (base, *others)}) == 6


def test_a_clean_image_has_the_hash_of_its_file():
    assert corrupted_sha256("ab" * 32, "none", 0, 5, "x") == "ab" * 32


def test_the_settings_know_the_corruptions_that_there_are():
    assert tuple(CORRUPTIONS) == get_args(Corruption)
