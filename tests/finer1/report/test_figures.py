import re

import pytest

from finer1.report.figures import Point, curve_chart, gains_chart

POINTS = (Point("base", 0.1, 0.05, 0.15), Point("sft", 0.6, 0.5, 0.7), Point("tapo", 0.8, 0.7, 0.9))
NAMES = {"base": "base", "sft": "SFT", "tapo": "TAPO"}


@pytest.fixture(scope="module")
def gains():
    return gains_chart("x", POINTS, NAMES, chance=0.25)


def test_colours_are_those_of_the_page(gains):
    assert not re.search(r"#[0-9a-f]{6}\b", gains)
    assert {"var(--base)", "var(--sft)", "var(--tapo)"} <= set(re.findall(r"var\([^)]*\)", gains))


def test_accuracies_and_models_are_text(gains):
    texts = re.findall(r"<text [^>]*>([^<]*)</text>", gains)
    assert {"10.0", "60.0", "80.0", "base", "SFT", "TAPO", "chance"} <= set(texts)


def test_open_world_has_no_line_of_chance():
    assert "chance" not in gains_chart("x", POINTS, NAMES, chance=None)


def test_charts_hold_no_date_and_no_foreign_address(gains):
    assert "metadata" not in gains
    assert "http" not in gains.replace('xmlns:xlink="http://www.w3.org/1999/xlink"', "")


def test_equal_curves_give_equal_bytes():
    first, second = (curve_chart("loss", [1, 2, 3], [0.5, 0.7, 0.6], "tapo") for _ in range(2))
    assert first == second


def test_ids_of_equal_charts_of_different_metrics_differ():
    charts = [curve_chart(key, [1, 2], [0.5, 0.6], "sft") for key in ("loss", "lr")]
    first, second = (set(re.findall(r' id="([^"]*)"', chart)) for chart in charts)
    assert first
    assert not first & second


def test_a_constant_curve_is_drawn():
    assert "<path" in curve_chart("loss", [1, 2], [0.5, 0.5], "sft")
