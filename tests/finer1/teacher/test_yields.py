from collections import Counter

import pytest

from finer1.teacher.yields import (
    ClassYield,
    add_by_dataset,
    cost,
    group_by_advice,
    read_yields,
    write_yields,
    yield_table,
)

YIELDS = {
    ("birds", "bird", "elm wren"): ClassYield(
        4, 3, 0, 6, 300, 1, Counter({1: 2, 2: 1}), Counter(format=3)
    ),
    ("birds", "bird", "oak, wren"): ClassYield(
        1, 0, 1, 2, 100, 0, Counter(), Counter(language=2), "look, there"
    ),
    ("cars", "car", "a4"): ClassYield(1, 1, 0, 1, 50, 0, Counter({1: 1})),
}
REASONS = ("format", "language", "leak")


@pytest.fixture
def written(tmp_path):
    write_yields(tmp_path / "yield.csv", YIELDS, 2, REASONS)
    return tmp_path / "yield.csv"


def test_what_is_written_is_read(written):
    assert read_yields(written) == YIELDS


def test_columns_hold_counts_rungs_reasons_and_advice(written):
    head, first, second, _ = written.read_text().splitlines()
    assert head == (
        "dataset,category,label,asked,kept,queued,samples,tokens,cut,rung_1,rung_2,"
        "format,language,leak,advice"
    )
    assert first == "birds,bird,elm wren,4,3,0,6,300,1,2,1,3,0,0,"
    assert second == 'birds,bird,"oak, wren",1,0,1,2,100,0,0,0,0,2,0,"look, there"'


@pytest.mark.parametrize(
    ("old", "new"),
    [("dataset,", "set,"), (",300,", ",many,"), (",advice", ""), (",0,0,\n", "\n"), ("asked", "a")],
)
def test_a_broken_yield_is_named_with_its_line(written, old, new):
    written.write_text(written.read_text().replace(old, new))
    with pytest.raises(ValueError, match=r"yield\.csv:2"):
        read_yields(written)


def test_datasets_are_sums_of_their_classes():
    sums = add_by_dataset(YIELDS)
    assert list(sums) == ["birds", "cars"]
    assert sums["birds"] == ClassYield(
        5, 3, 1, 8, 400, 1, Counter({1: 2, 2: 1}), Counter(format=3, language=2)
    )


def test_classes_without_a_rationale_are_grouped_by_what_they_need():
    more = {("d", "bird", name): ClassYield(1, advice="look, there") for name in "ab"}
    assert group_by_advice(YIELDS | more) == {"look, there": ["oak, wren", "a", "b"]}


def test_cost_is_tokens_at_the_price_of_a_million():
    assert cost(450_000, 2.0) == 0.9
    assert cost(450_000, None) is None


def test_table_shares_the_seconds_out_by_tokens():
    rows = yield_table(YIELDS, 9.0, 2.0)
    # 450 tokens in 9 s: 6 s, 2 s, 1 s
    assert [row["seconds in this run"] for row in rows] == [6.0, 2.0, 1.0]
    assert rows[0]["cost"] == 0.0006  # 300 of a million, at 2
    assert (rows[0]["rungs"], rows[1]["rejected"]) == ("1: 2, 2: 1", "language 2")


def test_table_shares_the_seconds_out_by_samples_where_no_tokens_are_counted():
    yields = {("d", "bird", name): ClassYield(samples=n) for name, n in (("a", 3), ("b", 1))}
    assert [row["seconds in this run"] for row in yield_table(yields, 8.0, None)] == [6.0, 2.0]


def test_table_of_nothing_sampled_has_no_seconds():
    (row,) = yield_table({("w", "bird", "wren"): ClassYield(asked=1)}, 0.0, None)
    assert (row["seconds in this run"], row["cost"]) == (0.0, None)
