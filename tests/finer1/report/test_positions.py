import re

import pytest

from finer1.report.figures import Place
from finer1.report.measures import position_table
from finer1.report.positions import model_places, position_charts, spread

NAMES = {"base": "base", "tapo": "TAPO"}
DASH = "\N{EN DASH}"


def answers(shares, none, accuracies):
    """Metrics of 40 closed questions; shares and none: of all of them."""
    metrics = {"tapo/closed/position_none/answered": none}
    for place, (share, accuracy) in enumerate(zip(shares, accuracies, strict=True), 1):
        key = f"tapo/closed/position_{place}"
        metrics |= {f"{key}/n": 0.0 if accuracy is None else 10.0, f"{key}/answered": share}
        if accuracy is not None:
            metrics[f"{key}/accuracy"] = accuracy
    return metrics


EVEN = answers((0.5, 0.3, 0.2, 0.0), 0.0, (0.9, 0.8, 0.7, 0.6))
HALF_SILENT = answers((0.25, 0.15, 0.1, 0.0), 0.5, (0.4, 0.3, 0.2, 0.0))
STORED = answers((0.5, 0.3, 0.2, 0.0), 0.0, (0.5, None, None, None))
SILENT = answers((0.0, 0.0, 0.0, 0.0), 1.0, (0.0, 0.0, 0.0, 0.0))


def bars(chart):
    """(filled, outlined) bars of a chart, those of no height included."""
    paths = re.findall(r'<path [^>]*style="([^"]*)"', chart)
    outlined = [style for style in paths if "fill: none; stroke: var(--tapo)" in style]
    return sum("fill: var(--tapo)" in style for style in paths), len(outlined)


def test_every_place_has_its_share_of_the_answers():
    assert model_places(EVEN, "tapo", 4) == [
        Place(1, 0.5, 0.9), Place(2, 0.3, 0.8), Place(3, 0.2, 0.7), Place(4, 0.0, 0.6),
    ]  # fmt: skip


def test_a_half_silent_model_has_the_shares_of_what_it_says():
    # Half of the answers name an option: 0.25 of all is 0.5 of them.
    shares = [place.answered for place in model_places(HALF_SILENT, "tapo", 4)]
    assert shares == pytest.approx([0.5, 0.3, 0.2, 0.0])
    ((_, _, told, _),) = position_charts(HALF_SILENT, NAMES, 4)
    assert told == "within 50.0 points, 50.0 % name none"


def test_what_names_no_option_is_a_column():
    table = position_table(HALF_SILENT, NAMES, 4)
    right, answered = table.groups
    assert table.columns[-1] == "name no option, of all answers"
    assert answered.rows == (("tapo", "TAPO", ("50.0", "30.0", "20.0", "0.0", "50.0")),)
    assert right.rows == (("tapo", "TAPO", ("40.0", "30.0", "20.0", "0.0", DASH)),)


def test_a_model_that_names_no_option_at_all_has_no_chart():
    assert position_charts(SILENT, NAMES, 4) == []
    assert position_table(SILENT, NAMES, 4).groups[1].rows[0][2] == (*[DASH] * 4, "100.0")


def test_spread_is_between_the_most_and_the_least_answered():
    assert spread(model_places(EVEN, "tapo", 4)) == "50.0"  # 50 less 0


def test_a_chart_per_model_with_closed_questions():
    ((model, name, told, chart),) = position_charts(EVEN, NAMES, 4)
    assert (model, name, told) == ("tapo", "TAPO", "within 50.0 points")
    assert bars(chart) == (4, 4)


def test_a_right_option_that_never_moves_leaves_the_answered_bars():
    ((_, _, told, chart),) = position_charts(STORED, NAMES, 4)
    assert told == "within 50.0 points"
    assert bars(chart) == (4, 1)
    right, _ = position_table(STORED, NAMES, 4).groups
    assert right.rows[0][2] == ("50.0", DASH, DASH, DASH, DASH)
