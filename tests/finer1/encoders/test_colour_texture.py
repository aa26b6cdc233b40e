import numpy as np
import pytest
from PIL import Image

from finer1.encoders.colour_texture import DIRECTIONS, HUES, SATURATIONS, VALUES, describe_image

COLOURS, EDGES = HUES * SATURATIONS * VALUES * 9, DIRECTIONS * 9


def stripes(horizontal, colour="black"):
    image = Image.new("RGB", (96, 96), "white")
    for start in range(0, 96, 12):
        box = (0, start, 96, start + 6) if horizontal else (start, 0, start + 6, 96)
        image.paste(colour, box)
    return image


def test_a_plain_image_has_one_colour_per_cell_one_pattern_and_no_edge():
    got = describe_image(Image.new("RGB", (50, 30), (255, 0, 0)))
    colours, edges, patterns = np.split(got, [COLOURS, COLOURS + EDGES])
    # Nine equal colour bins share the mass 1, their roots are 1/3; so do nine pattern bins, up
    # to the sides of their cells, which are 31 or 32 of 94 pixels. The two
    # kinds together have length sqrt(2).
    assert np.sort(colours)[-9:] == pytest.approx(np.full(9, 1 / (3 * 2**0.5)))
    assert not edges.any()
    assert np.sort(patterns)[-9:] == pytest.approx(np.full(9, 1 / (3 * 2**0.5)), rel=0.03)


def test_descriptors_have_length_one():
    for image in (stripes(True), stripes(False), Image.new("RGB", (9, 9))):
        assert np.linalg.norm(describe_image(image)) == pytest.approx(1)


def test_stripes_turned_around_differ_in_their_edges():
    # Vertical stripes change along x: direction 0. Horizontal ones along y: pi / 2, bin 4 of 8.
    across, along = (
        describe_image(stripes(horizontal))[COLOURS : COLOURS + EDGES].reshape(9, DIRECTIONS)
        for horizontal in (False, True)
    )
    assert (across.argmax(axis=1) == 0).all()
    assert (along.argmax(axis=1) == DIRECTIONS // 2).all()


def test_the_nearest_is_alike_in_colour_and_texture():
    anchor = describe_image(stripes(True, (200, 30, 30)))
    darker = describe_image(stripes(True, (190, 40, 30)))
    blue = describe_image(stripes(True, (30, 30, 200)))
    turned = describe_image(stripes(False, (30, 30, 200)))
    assert anchor @ darker > anchor @ blue > anchor @ turned


def test_size_matters_little():
    image = Image.effect_noise((300, 200), 60).convert("RGB").resize((96, 96))
    assert describe_image(image) @ describe_image(image.resize((192, 192))) > 0.97
