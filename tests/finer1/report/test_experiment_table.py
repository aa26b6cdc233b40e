import csv
import io
import json
from dataclasses import replace

import pytest

from finer1.evaluation.decision import Components, Decision, Needed
from finer1.evaluation.experiments import Column, Difference, Summary
from finer1.evaluation.statistics import Interval
from finer1.report.experiment_files import FIELDS, tables_csv, tables_json
from finer1.report.experiment_table import (
    ExperimentTable,
    missing_lines,
    table_markdown,
    table_text,
    what_decides,
)
from finer1.report.experiments_page import render_experiments
from finer1.report.published_ablations import published_ablations

COLUMN = Column("open", "average", "similarity")
OPEN = Decision(
    "open", Interval(0.15, -0.05, 0.27), 0.02, 30, 2, Components(0.01, 0.0, 0.02),
    Needed(96, 11, 3.2),
)  # fmt: skip


@pytest.fixture
def table():
    return ExperimentTable(
        name="figure_3c",
        paper="Figure 3c",
        about="components",
        setting=None,
        columns=(COLUMN,),
        titles=("SFT", "TAPO", "PAPO"),
        summaries=(
            Summary("SFT", COLUMN, (0, 1), (0.65, 0.69), Interval(0.67, 0.6, 0.75)),
            Summary("TAPO", COLUMN, (0, 1), (0.8, 0.84), Interval(0.82, 0.75, 0.88)),
        ),
        differences=(Difference("TAPO", "SFT", COLUMN, (0, 1), (0.1, 0.2), OPEN),),
        published={"SFT": "CoT SFT", "TAPO": "CoT SFT + TAPO"},
        missing={"PAPO": "no run (seeds 0, 1); finer1 experiments figure_3c"},
        notes=("Not <comparable>.",),
    )


def test_the_terminal_shows_rows_published_values_differences_and_what_is_missing(table):
    assert table_text(table).splitlines() == [
        "Figure 3c: components",
        "(embedded default, seeds 0, 1)",
        "",
        "        open average similarity  paper",
        "  SFT         67.0 [60.0, 75.0]   64.2",
        "  TAPO        82.0 [75.0, 88.0]   67.3",
        "  PAPO                        -",
        "",
        "               open average similarity",
        "  TAPO - SFT  +15.0 [-5.0, +27.0] open",
        "",
        "  TAPO - SFT, open average similarity: open; 96 classes per seed in place of 30 or 11 "
        "seeds in place of 2 would decide, if it stays as it is",
        "  PAPO: no run (seeds 0, 1); finer1 experiments figure_3c",
        "  Not <comparable>.",
    ]


def test_markdown_has_each_seeds_figure(table):
    text = table_markdown(table)
    assert "| TAPO | 82.0 [75.0, 88.0] (80.0 84.0; sd 2.8) | 67.3 |" in text
    assert "| TAPO - SFT | +15.0 [-5.0, +27.0] open (+10.0 +20.0; sd 7.1) |" in text
    assert "- Not <comparable>." in text


def test_numbers_are_shares_in_csv(table):
    rows = list(csv.DictReader(io.StringIO(tables_csv([table]))))
    assert list(rows[0]) == list(FIELDS)
    assert [row["kind"] for row in rows] == ["row", "row", "difference"]
    assert (rows[1]["value"], rows[1]["published"], rows[1]["per_seed"]) == (
        "0.82", "0.6732", "0.8 0.84",
    )  # fmt: skip
    assert (rows[2]["answer"], rows[2]["needed_seeds"]) == ("open", "11")


def test_json_says_what_is_missing(table):
    (found,) = json.loads(json.dumps(tables_json([table])))
    assert found["missing"] == dict(table.missing)
    assert found["figures"][2]["low"] == -0.05


def test_the_page_shows_the_same_and_escapes(table):
    page = render_experiments([table], 0.95)
    assert '<section id="figure_3c">' in page
    assert "82.0" in page
    assert "paper 67.3" in page
    assert "TAPO &minus; SFT" in page
    assert "Not &lt;comparable&gt;." in page
    assert "<script" not in page
    assert page == render_experiments([table], 0.95)


def test_tables_of_several_settings_have_places_of_their_own(table):
    page = render_experiments([table, replace(table, setting="fine_r1_3b")], 0.95)
    assert '<section id="figure_3c">' in page
    assert '<section id="fine_r1_3b-figure_3c">' in page
    assert '<a href="#fine_r1_3b-figure_3c">Figure 3c: components, fine_r1_3b</a>' in page
    assert "finer1 experiments figure_3c --on fine_r1_3b" in page


def test_rows_that_lack_the_same_are_named_together(table):
    missing = {"A": "no run", "B": "no run", "C": "stale"}
    assert missing_lines(replace(table, missing=missing)) == ["A; B: no run", "C: stale"]


@pytest.mark.parametrize(
    ("needed", "text"),
    [
        (Needed(None, 11, 3.2), "open; 11 seeds in place of 2 would decide"),
        (Needed(None, None, 3.24), "open; 3.2 times as many classes and seeds would decide"),
        (None, "open: one seed says nothing of others"),
    ],
)
def test_what_would_decide_is_said_in_words(needed, text):
    decision = Decision("open", OPEN.interval, 0.02, 30, 2, OPEN.components, needed)
    assert what_decides(decision).startswith(text)


@pytest.mark.parametrize(
    ("paper", "row", "column", "value"),
    [
        ("Figure 3a", "CLS-RL", "closed/unseen/accuracy", 71.13),
        ("Figure 3b", "Qwen2.5-VL-3B + ICL", "closed/average/accuracy", 67.29),
        ("Figure 3c", "CoT SFT + DAPO", "open/average/similarity", 65.81),
        ("Table 3a", "5 + 5", "open/unseen/similarity", 61.29),
        ("Table 3b", "1199 rationales", "open/unseen/similarity", 62.64),
        ("Table 3c", "CoT SFT + TAPO", "open/average/similarity", 64.65),
        ("Table 7", "CoT SFT", "closed/unseen/accuracy", 79.76),
    ],
)
def test_published_figures_are_those_of_the_paper(paper, row, column, value):
    assert published_ablations()[paper][row][column] == value
