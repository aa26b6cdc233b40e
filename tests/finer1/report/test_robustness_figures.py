import re

import pytest

from finer1.report.robustness import choose_lines, collect_robustness

BOTH = {"base": "base", "tapo": "TAPO"}


def synthetic(name, clean=0.8, corruptions=("fog", "jpeg_compression"), severities=(1, 3, 5)):
    """Accuracy falls by 0.1 a severity under fog, not at all under JPEG."""
    metrics = {}

    def add(cell, value):
        key = f"{name}/robustness/{cell}"
        metrics[f"{key}/n"] = 40.0
        metrics[f"{key}/accuracy"] = value
        metrics[f"{key}/low"], metrics[f"{key}/high"] = value - 0.05, value + 0.05

    add("none/0", clean)
    for corruption in (*corruptions, "mean"):
        for severity in severities:
            add(f"{corruption}/{severity}", clean - (0.1 * severity if corruption == "fog" else 0))
    metrics[f"{name}/robustness/relative"] = 0.75
    return metrics


@pytest.fixture(scope="module")
def view():
    return collect_robustness(synthetic("tapo") | synthetic("base", 0.6), BOTH)


def test_the_mean_comes_first_and_then_each_corruption_in_its_place():
    metrics = synthetic("tapo", corruptions=("contrast", "fog", "gaussian_noise"))
    charts = collect_robustness(metrics, {"tapo": "TAPO"}).charts
    assert [caption for caption, _ in charts] == [
        "mean of all", "gaussian noise", "fog", "contrast",
    ]  # fmt: skip


def test_the_table_says_what_the_charts_show(view):
    row = next(row for row in view.rows if (row.model, row.corruption) == ("TAPO", "fog"))
    assert (row.clean, row.accuracies) == ("80.0", ("70.0", "50.0", "30.0"))
    assert view.severities == (1, 3, 5)


def test_the_clean_image_is_severity_0_of_every_chart(view):
    for _, svg in view.charts:
        assert re.findall(r"<text [^>]*>(clean)</text>", svg) == ["clean"]


def test_relative_accuracy_stands_beside_the_number_of_images(view):
    assert view.relative == (("base", 40, "75.0"), ("TAPO", 40, "75.0"))
    assert [name for name, _ in view.legend] == ["base", "TAPO"]


def test_the_note_says_that_it_is_not_imagenet_c(view):
    assert "not ImageNet-C" in view.note


def test_a_model_that_asked_less_has_dashes():
    metrics = synthetic("tapo") | synthetic("base", corruptions=("fog",), severities=(5,))
    view = collect_robustness(metrics, BOTH)
    cells = {(row.model, row.corruption): row.accuracies for row in view.rows}
    dash = "\N{EN DASH}"
    assert cells["base", "fog"] == (dash, dash, "30.0")
    assert cells["base", "jpeg compression"] == (dash, dash, dash)


def test_without_a_right_clean_answer_there_is_no_relative_figure():
    metrics = synthetic("tapo")
    del metrics["tapo/robustness/relative"]
    (found,) = collect_robustness(metrics, {"tapo": "TAPO"}).relative
    assert found == ("TAPO", 40, "\N{EN DASH}")


def test_a_run_without_damaged_images_shows_nothing():
    assert collect_robustness({"tapo/open/seen/accuracy": 0.5}, {"tapo": "TAPO"}) is None
    assert collect_robustness({}, {}) is None


def test_own_models_look_as_everywhere_and_no_two_lines_look_alike():
    names = ["clip_l", "tapo", "qwen", "base", "llava", "idefics", "internvl"]
    lines = choose_lines(names)
    assert (lines["tapo"].colour, lines["base"].mark) == ("--tapo", "o")
    assert len(set(lines.values())) == len(names)


def test_colours_are_those_of_the_page(view):
    for svg in (*(svg for _, svg in view.charts), *(svg for _, svg in view.legend)):
        assert not re.search(r"#[0-9a-f]{6}\b", svg)
        assert "var(--" in svg
