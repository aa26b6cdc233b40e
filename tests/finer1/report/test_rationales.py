from collections import Counter

import pytest

from finer1.params import load_params
from finer1.report.rationales import summarise_yields
from finer1.teacher.yields import ClassYield

YIELDS = {
    ("birds", "bird", "a"): ClassYield(
        2, 2, 0, 3, 600_000, 0, Counter({1: 1, 3: 1}), Counter(leak=1)
    ),
    ("birds", "bird", "b"): ClassYield(
        1, 0, 1, 4, 400_000, 0, Counter(), Counter(format=3, leak=1), "do this"
    ),
    ("cars", "car", "c"): ClassYield(1, 1, 0, 1, 500_000, 0, Counter({1: 1})),
}


@pytest.fixture
def settings(repository):
    """Four samples at 1.0, two at 0.7, four of another image; no price."""
    return load_params(repository / "params.yaml").cot


@pytest.fixture
def summary(settings):
    priced = settings.model_copy(update={"price_per_million_tokens": 2.0})
    return summarise_yields(YIELDS, priced)


def test_each_dataset_has_a_row_and_all_of_them_one(summary):
    found = [(row.name, row.classes, row.without, row.total.kept, row.cost) for row in summary.rows]
    # 1.0, 0.5 and 1.5 million tokens at 2 a million
    assert found == [
        ("birds", 2, 1, 2, "2.00"),
        ("cars", 1, 0, 1, "1.00"),
        ("all", 3, 1, 3, "3.00"),
    ]


def test_one_dataset_needs_no_sum(settings):
    only = {key: count for key, count in YIELDS.items() if key[0] == "birds"}
    assert [row.name for row in summarise_yields(only, settings).rows] == ["birds"]


def test_without_a_price_there_is_no_cost(settings):
    summary = summarise_yields(YIELDS, settings)
    assert (summary.has_price, summary.rows[0].cost) == (False, "")


def test_rungs_say_what_was_tried_and_what_it_gave(summary):
    assert summary.rungs == (
        ("4 samples at temperature 1", 2),
        ("2 samples at temperature 0.7", 0),
        ("4 samples at temperature 1 of another image of the class", 1),
    )


def test_reasons_are_ranked_by_samples(summary):
    assert summary.rejected == (("format", 3), ("leak", 2))


def test_classes_without_any_come_with_their_advice(summary):
    assert summary.without == ((("b",), "do this"),)
    assert [key[2] for key, _ in summary.classes] == ["b", "a", "c"]


def test_released_rationales_climbed_no_ladder(settings):
    released = settings.model_copy(update={"source": "released"})
    assert summarise_yields(YIELDS, released).rungs == ()
