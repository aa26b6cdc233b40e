from collections import Counter

import numpy as np
import pytest

from finer1.teacher.yield_figure import Palette, draw_yields, yield_picture
from finer1.teacher.yields import ClassYield

PALETTE = Palette("#000000", "#111111", "#222222", "#333333", ("#444444", "#555555", "#666666"))
YIELDS = {
    ("d", "bird", "a"): ClassYield(asked=2, kept=2, samples=3, rejected=Counter(leak=1)),
    ("d", "bird", "b"): ClassYield(
        asked=1, samples=6, rejected=Counter(format=3, length=1, leak=1, refusal=1)
    ),
}


@pytest.fixture(scope="module")
def figure():
    return draw_yields(YIELDS, PALETTE)


def test_bars_stack_the_samples_of_each_class_most_samples_first(figure):
    left = figure.axes[0]
    layers = [[bar.get_height() for bar in bars] for bars in left.containers]
    # kept, format (3), leak (2), other reasons (length, refusal); class b stands first
    assert layers == [[0, 2], [3, 0], [1, 1], [2, 0]]
    assert [text.get_text() for text in left.get_legend().get_texts()] == [
        "kept", "format", "leak", "other reasons",
    ]  # fmt: skip


def test_reasons_are_ranked_by_count(figure):
    right = figure.axes[1]
    assert [label.get_text() for label in right.get_yticklabels()] == [
        "kept", "format", "leak", "length", "refusal",
    ]  # fmt: skip
    assert [bar.get_width() for bar in right.patches] == [2, 3, 2, 1, 1]


def test_picture_is_drawn_in_the_colours_of_kept_and_rejected():
    pixels = np.asarray(yield_picture(YIELDS)).reshape(-1, 3)
    assert {(0x2B, 0x64, 0x91), (0xB0, 0x4F, 0x1B)} <= {tuple(pixel) for pixel in pixels.tolist()}


@pytest.mark.parametrize("yields", [{}, {("d", "bird", "a"): ClassYield()}])
def test_a_run_without_samples_is_drawn(yields):
    assert yield_picture(yields).mode == "RGB"
