import csv
import io
from dataclasses import replace

import pytest

from finer1.evaluation.votes import vote_metrics
from finer1.evaluation_params import ModelEntry
from finer1.report.inputs import read_inputs
from finer1.report.results_file import COLUMNS, result_rows, rows_as_csv
from tests.finer1.report.made_up_metrics import cell


@pytest.fixture(scope="module")
def inputs(further):
    return read_inputs(further)


@pytest.fixture(scope="module")
def rows(inputs):
    return result_rows(inputs)


def pick(rows, **wanted):
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def test_every_row_has_every_column(rows):
    assert all(tuple(row) == COLUMNS for row in rows)


def test_an_accuracy_comes_with_its_interval_and_size(rows):
    (row,) = pick(rows, table="results", model="SFT", setting="open", side="seen",
                  protocol="headline", metric="accuracy")  # fmt: skip
    assert (row["value"], row["n"]) == (33.3333, 6)
    assert row["low"] < 33 < row["high"]


def test_the_released_rule_is_the_protocol_paper(rows):
    (row,) = pick(rows, model="base", setting="open", side="seen", metric="inclusion")
    assert (row["protocol"], row["value"]) == ("paper", 33.3333)


def test_differences_are_points(rows):
    (row,) = pick(rows, model="TAPO - CLIP-L", setting="closed", side="unseen")
    assert (row["metric"], row["n"]) == ("difference", 2)


def test_levels_positions_and_votes_have_rows(rows):
    assert {row["table"] for row in rows} == {"results", "levels", "positions", "votes"}
    (row,) = pick(rows, table="votes", model="TAPO", metric="accuracy")
    assert row["value"] == 25.0  # every sample is elm wren, one of four classes
    assert row["n"] == 16  # all questions are asked again, open and closed


def test_closed_figures_say_the_order_of_the_options(inputs, rows):
    assert {row["order"] for row in rows if row["setting"] == "open"} == {""}
    assert {row["order"] for row in rows if row["setting"] == "closed"} == {"shuffled"}
    questions = inputs.params.questions.model_copy(update={"order": "stored"})
    params = inputs.params.model_copy(update={"questions": questions})
    found = pick(result_rows(replace(inputs, params=params)), setting="closed")
    assert {row["order"] for row in found} == {"truth first"}


def test_a_model_that_writes_nothing_has_no_rows_of_text(rows):
    found = {row["metric"] for row in pick(rows, table="results", model="CLIP-L")}
    assert {"accuracy", "hedged", "inclusion"} <= found
    assert not found & {
        "tagged", "formatted", "cut_off", "tokens", "truth_among_options", "answer_is_prediction",
    }  # fmt: skip
    assert pick(rows, model="TAPO", metric="tagged")


def test_levels_say_how_many_questions_have_them(rows):
    (row,) = pick(rows, table="levels", model="SFT", side="seen", metric="level_group")
    assert (row["value"], row["n"]) == (100.0, 6)


def test_bins_of_votes_have_their_size(inputs):
    votes = vote_metrics("tapo", [(0.5, True), (0.5, False), (1.0, True)])
    rows = pick(result_rows(replace(inputs, metrics=votes)), table="votes")
    found = {row["metric"]: (row["value"], row["n"]) for row in rows}
    assert (found["accuracy"], found["bin_2/accuracy"]) == ((66.6667, 3), (50.0, 2))
    assert (found["bin_4/share"], found["bin_0/share"]) == ((100.0, 1), (None, 0))


def test_places_beyond_a_gap_have_rows(inputs):
    metrics = {"tapo/closed/position_none/answered": 0.5}
    for place, count in enumerate((10, 0, 0, 30), 1):
        metrics[f"tapo/closed/position_{place}/n"] = count
        metrics[f"tapo/closed/position_{place}/answered"] = 0.125
        if count:
            metrics[f"tapo/closed/position_{place}/accuracy"] = 0.25
    rows = pick(result_rows(replace(inputs, metrics=metrics)), table="positions")
    # Half of the 40 answers name an option, a quarter of them each place.
    assert [(row["metric"], row["value"], row["n"]) for row in rows] == [
        ("accuracy_at_1", 25.0, 10), ("answered_at_1", 25.0, 20), ("answered_at_2", 25.0, 20),
        ("answered_at_3", 25.0, 20), ("accuracy_at_4", 25.0, 30), ("answered_at_4", 25.0, 20),
        ("answered_none", 50.0, 40),
    ]  # fmt: skip


def test_corrupted_images_have_a_row_with_interval_and_size(inputs):
    key = "q/robustness/fog/3"
    metrics = {f"{key}/n": 40.0, f"{key}/accuracy": 0.5, f"{key}/low": 0.4, f"{key}/high": 0.6}
    metrics["q/robustness/relative"] = 0.75
    models = {"q": ModelEntry(model="models/q", strategy="direct", max_tokens=None)}
    changes = {"models": models, "setting": "closed"}
    robustness = inputs.params.robustness.model_copy(update=changes)
    params = inputs.params.model_copy(update={"robustness": robustness})
    fog, relative = pick(
        result_rows(replace(inputs, params=params, metrics=metrics)), table="robustness"
    )
    assert (fog["metric"], fog["value"], fog["low"], fog["high"], fog["n"]) == (
        "fog/3/accuracy", 50.0, 40.0, 60.0, 40,
    )  # fmt: skip
    assert (fog["model"], fog["setting"], fog["order"]) == (
        "q, strategy direct", "closed", "shuffled",
    )  # fmt: skip
    assert (relative["metric"], relative["value"]) == ("relative", 75.0)


def test_a_published_row_that_was_not_run_has_no_value(inputs):
    metrics = cell("tapo/bird/closed/seen", paper_accuracy=(0.7, 0.06), accuracy=(0.5, 0.1))
    rows = result_rows(replace(inputs, metrics=metrics))
    (row,) = pick(rows, table="1", model="EVA-G", dataset="bird", side="seen")
    assert (row["value"], row["published"], row["difference"]) == (None, 81.37, None)
    (mine,) = pick(rows, table="1", model="TAPO", dataset="bird", side="seen")
    assert (mine["value"], mine["low"], mine["n"]) == (70.0, 64.0, 100)
    assert not pick(rows, dataset="car")


def test_the_average_of_a_row_that_was_not_run_is_over_the_datasets_of_this_run(inputs):
    measured = {"paper_accuracy": (0.7, 0.06), "accuracy": (0.5, 0.1)}
    metrics = cell("tapo/bird/closed/seen", **measured) | cell("tapo/car/closed/seen", **measured)
    rows = pick(result_rows(replace(inputs, metrics=metrics)), table="1", dataset="avg")
    found = {row["side"]: row["published"] for row in pick(rows, model="EVA-G")}
    # Table 1: bird 81.37 and 63.39, car 90.06 and 87.06.
    seen, unseen = (81.37 + 90.06) / 2, (63.39 + 87.06) / 2
    assert found == {"seen": seen, "unseen": unseen, "avg": pytest.approx((seen + unseen) / 2)}


def test_the_file_is_csv_that_escapes(inputs, rows):
    text = rows_as_csv([*rows, {"table": 'a,"b'}])
    found = list(csv.DictReader(io.StringIO(text)))
    assert len(found) == len(rows) + 1
    assert found[-1]["table"] == 'a,"b'
    assert found[-1]["value"] == ""
