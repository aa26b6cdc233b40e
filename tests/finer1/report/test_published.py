import csv

import pytest

from finer1.report.comparison import AVERAGE, Compared, average
from finer1.report.published import (
    DATASETS,
    SIDES,
    general_benchmarks,
    published_names,
    published_tables,
)


@pytest.fixture(scope="module")
def tables():
    return {table.number: table for table in published_tables()}


def test_figures_are_those_of_the_paper(tables):
    rows = {row.name: row for row in tables["1"].rows}
    assert rows["Fine-R1-3B"].values["seen", "bird"] == 86.79
    assert rows["CLIP-L"].family == "clip"
    assert tables["6"].rows[-1].values["unseen", "pet"] == 69.86


def test_published_averages_weigh_datasets_equally(tables, repository):
    # The paper's own averages are rounded to two digits, and the last is a mean of rounded ones.
    files = {
        "1": "table1_closed_world_accuracy",
        "2": "table2_open_world_semantic_similarity",
        "6": "table6_open_world_text_inclusion",
        "7": "table7_openpangu_closed_world_accuracy",
    }
    for number, name in files.items():
        path = repository / f"finer1/reference/published/{name}.csv"
        with path.open(encoding="utf-8") as lines:
            for line, row in zip(csv.DictReader(lines), tables[number].rows, strict=True):
                means = [
                    average([Compared(row.values[side, dataset]) for dataset in DATASETS])
                    for side in SIDES
                ]
                for side, mean in zip(SIDES, means, strict=True):
                    assert mean.published == pytest.approx(float(line[f"{side}_avg"]), abs=0.006)
                assert average(means).published == pytest.approx(float(line[AVERAGE]), abs=0.011)


def test_table_7_names_the_model(tables):
    assert [row.name for row in tables["7"].rows] == [
        "openPangu-VL-7B", "openPangu-VL-7B, CoT SFT", "openPangu-VL-7B, CoT SFT + TAPO",
    ]  # fmt: skip


def test_every_name_comes_once():
    names = published_names()
    assert len(names) == len(set(names)) == 21  # 18 of Table 1 and three of Table 7
    assert "Fine-R1-7B" in names


def test_general_benchmarks_are_as_published():
    assert general_benchmarks()["Fine-R1-3B"] == {
        "ImageWikiQA": 58.45, "MME": 1587.0, "MMBench": 79.55, "SEED-Bench": 73.99
    }  # fmt: skip
