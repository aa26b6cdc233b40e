import csv
import io
from dataclasses import replace

import pytest

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


def test_a_published_row_that_was_not_run_has_no_value(inputs):
    metrics = cell("tapo/bird/closed/seen", paper_accuracy=(0.7, 0.06), accuracy=(0.5, 0.1))
    rows = result_rows(replace(inputs, metrics=metrics))
    (row,) = pick(rows, table="1", model="EVA-G", dataset="bird", side="seen")
    assert (row["value"], row["published"], row["difference"]) == (None, 81.37, None)
    (mine,) = pick(rows, table="1", model="TAPO", dataset="bird", side="seen")
    assert (mine["value"], mine["low"], mine["n"]) == (70.0, 64.0, 100)
    assert not pick(rows, dataset="car")


def test_the_file_is_csv_that_escapes(inputs, rows):
    text = rows_as_csv([*rows, {"table": 'a,"b'}])
    found = list(csv.DictReader(io.StringIO(text)))
    assert len(found) == len(rows) + 1
    assert found[-1]["table"] == 'a,"b'
    assert found[-1]["value"] == ""
