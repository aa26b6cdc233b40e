import random

import numpy as np
from PIL import Image

from finer1.tapo.augment import augment, blacken


def ramp(width=32, height=16):
    return Image.fromarray(np.arange(width * height * 3, dtype=np.uint8).reshape(height, width, 3))


def augmented(image, seed):
    return augment(image, 1 / 16, 0.2, random.Random(seed))


def test_same_generator_state_gives_the_same_image():
    first, second = (augmented(ramp(), 5) for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_size_and_mode_stay():
    for seed in range(20):
        image = augmented(ramp(), seed)
        assert (image.size, image.mode) == ((32, 16), "RGB")


def test_seeds_give_different_images():
    assert len({augmented(ramp(), seed).tobytes() for seed in range(20)}) == 20


def test_a_uniform_image_only_changes_its_brightness():
    # Edges are repeated, so a shift brings in no black; 100 x (1 +- 0.2).
    for seed in range(20):
        colours = augmented(Image.new("RGB", (32, 32), (100,) * 3), seed).getcolors()
        ((_, (red, _, _)),) = colours
        assert 80 <= red <= 120


def test_a_shift_reaches_its_share_of_the_side():
    # 1/16 of 32 columns is 2: the white column 16 lies within 14 to 18, mirrored 13 to 17.
    image = Image.new("RGB", (32, 16), "black")
    image.paste("white", (16, 0, 17, 16))
    places = {
        int(np.asarray(augment(image, 1 / 16, 0.0, random.Random(seed)))[0, :, 0].argmax())
        for seed in range(100)
    }
    assert places == {13, 14, 15, 16, 17, 18}


def test_without_shift_and_brightness_only_the_side_changes():
    images = {augment(ramp(), 0.0, 0.0, random.Random(seed)).tobytes() for seed in range(20)}
    assert len(images) == 2


def test_a_share_of_the_patches_is_black():
    # 32 x 16 pixels are eight 8 x 8 patches; half of them are four.
    image = blacken(Image.new("RGB", (32, 16), "white"), 0.5, 8, random.Random(0))
    assert (np.asarray(image) == 0).all(axis=-1).sum() == 4 * 64
