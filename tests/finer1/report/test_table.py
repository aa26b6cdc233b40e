import pytest

from finer1.evaluation.experiments import Difference, Summary
from finer1.evaluation.statistics import Interval
from finer1.report.table import experiment_table, points, result_table


def test_result_table_has_a_row_per_model_and_difference(metrics):
    lines = [line.split("  ")[0].strip() for line in result_table(metrics).splitlines()]
    assert lines[3:9] == ["base", "SFT", "TAPO", "", "SFT - base", "TAPO - SFT"]


def test_result_table_prints_accuracy_with_interval(metrics):
    rows = {line[:10].strip(): line for line in result_table(metrics).splitlines()}
    assert rows["TAPO"].count("100.0 [100.0, 100.0]") == 4
    assert "33.3 [" in rows["SFT"]
    assert "+66.7 [" in rows["TAPO - SFT"]


def test_result_table_is_aligned_ascii(metrics):
    table = result_table(metrics)
    assert table.isascii()
    assert len({len(line) for line in table.splitlines()[:6]}) == 1


def test_result_table_names_the_level_of_its_intervals(metrics):
    assert "95 % interval" in result_table(metrics)


@pytest.mark.parametrize(
    ("share", "text"), [(0.136, "+13.6"), (-0.016, "-1.6"), (0.0, "0.0"), (-0.0001, "0.0")]
)
def test_differences_are_signed_and_zero_is_not(share, text):
    assert points(share) == text


def test_experiment_table_prints_every_seed():
    cell = ("open", "unseen")
    summary = Summary("TAPO", cell, (0, 1), (0.8, 0.84), Interval(0.82, 0.75, 0.88))
    change = Difference(
        "TAPO", "SFT", cell, (0, 1), (0.1, 0.2),
        Interval(0.15, 0.06, 0.26), Interval(0.15, -0.05, 0.27),
    )  # fmt: skip
    table = experiment_table([summary], [change])
    assert "| TAPO | 0, 1 | 82.0 [75.0, 88.0] (80.0 84.0) |" in table
    assert "| TAPO - SFT | 0, 1 | +15.0 [+6.0, +26.0; -5.0, +27.0] (+10.0 +20.0) |" in table
