import re

import pytest

from finer1.evaluation.votes import vote_metrics
from finer1.report.calibration import collect_calibration

VOTES = [(0.25, False), (0.5, True), (0.5, False), (0.75, True), (1.0, True), (1.0, True)]


@pytest.fixture(scope="module")
def view():
    return collect_calibration(vote_metrics("tapo", VOTES), {"base": "base", "tapo": "TAPO"})


def test_models_without_votes_have_no_chart(view):
    assert [name for name, _, _ in view.charts] == ["TAPO"]
    assert {row.model for row in view.rows} == {"TAPO"}


def test_a_run_without_votes_shows_nothing():
    assert collect_calibration({"tapo/open/seen/accuracy": 0.5}, {"tapo": "TAPO"}) is None


def test_the_note_says_which_questions_have_votes(view):
    assert "open and closed ones, about seen and unseen sub-categories, all together" in view.note


def test_bins_stand_in_a_table(view):
    # 0.25 | two of 0.5, one right | 0.75 | two of 1.0, both right; the lowest bin is empty.
    dash = "\N{EN DASH}"
    assert [(row.votes, row.n, row.share, row.accuracy) for row in view.rows] == [
        ("above 0, to 20 %", 0, dash, dash),
        ("above 20, to 40 %", 1, "25.0", "0.0"),
        ("above 40, to 60 %", 2, "50.0", "50.0"),
        ("above 60, to 80 %", 1, "75.0", "100.0"),
        ("above 80, to 100 %", 2, "100.0", "100.0"),
    ]


def test_key_figures_stand_in_words(view):
    # Distances 0.25, 0, 0.25, 0 weigh 1, 2, 1 and 2 of 6: 0.5 / 6.
    assert view.charts[0][1] == (
        "6 questions, 66.7 % of the majority answers right, expected calibration error 8.3 %"
    )


def test_the_chart_says_how_many_questions_a_point_stands_for(view):
    svg = view.charts[0][2]
    counts = re.findall(r"<text [^>]*>(\d+)</text>", svg)
    assert counts.count("1") == counts.count("2") == 2
    assert "var(--tapo)" in svg
    assert not re.search(r"#[0-9a-f]{6}\b", svg)
