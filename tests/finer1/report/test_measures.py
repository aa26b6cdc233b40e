import pytest

from finer1.report.inputs import read_inputs
from finer1.report.measures import behaviour_table, collect_tables, dataset_table
from tests.finer1.report.made_up_metrics import cell

DASH = "\N{EN DASH}"
CLOSED = "closed, seen, options shuffled"


@pytest.fixture(scope="module")
def inputs(further):
    return read_inputs(further)


@pytest.fixture(scope="module")
def tables(inputs):
    return collect_tables(inputs)


def lines(table, title):
    """Line -> its texts, of the group with that title."""
    (group,) = (group for group in table.groups if group.title == title)
    return {model: values for model, _, values in group.rows}


def test_both_protocols_stand_side_by_side(tables):
    exact, macro, inclusion, similarity, _ = lines(tables.protocols, "open, seen")["base"]
    # No tag: never exact, and 0 by similarity; the hostile name is in the output, 2 of 6.
    assert exact == f"0.0 (0.0{DASH}0.0)"
    assert macro == "0.0"
    assert inclusion.startswith("33.3 (")
    assert similarity == f"0.0 (0.0{DASH}0.0)"


def test_a_model_without_open_answers_stands_in_closed_groups_alone(tables):
    assert "clip_l" not in lines(tables.protocols, "open, seen")
    assert lines(tables.protocols, CLOSED)["clip_l"][3] == DASH


def test_a_model_that_chooses_has_no_format_and_no_tokens(tables):
    tagged, formatted, *_, cut_off, tokens = lines(tables.behaviour, CLOSED)["clip_l"]
    assert (tagged, formatted, cut_off, tokens) == (DASH, DASH, DASH, DASH)
    assert lines(tables.behaviour, CLOSED)["tapo"][-1] == "9.0"


def test_both_format_rates_stand_side_by_side(inputs):
    changed = inputs.metrics | {"tapo/open/seen/tagged": 0.75, "tapo/open/seen/formatted": 0.5}
    table = behaviour_table(changed, inputs.names, "", ())
    assert table.columns[:2] == (
        "In think and answer tags, the released format", "In the four-section format",
    )  # fmt: skip
    assert lines(table, "open, seen")["tapo"][:2] == ("75.0", "50.0")


def test_one_dataset_of_one_category_needs_no_table_of_its_own(tables):
    assert (tables.datasets, tables.categories) == (None, None)


def test_datasets_have_exact_inclusion_and_similarity(inputs):
    metrics = cell(
        "tapo/bird/open/seen",
        accuracy=(0.5, 0.1),
        paper_accuracy=(0.6, 0.1),
        similarity=(0.7, 0.1),
    )
    metrics |= cell("tapo/car/closed/seen", accuracy=(0.2, 0.1))
    table = dataset_table(metrics, inputs.names, "truth first", ("bird", "car"))
    assert table.columns[2] == "closed, seen, truth first"
    assert lines(table, "bird") == {"tapo": (f"50.0 (40.0{DASH}60.0) / 60.0 / 70.0", *[DASH] * 3)}
    assert lines(table, "car")["tapo"][2] == f"20.0 (10.0{DASH}30.0)"


def test_levels_come_from_coarse_to_fine(tables):
    assert tables.levels.columns[:3] == ("group", "sub-category", "Common prefix of the levels")
    # Every bird is a wren here: elm wren, the answer of sft, is right at the group always.
    assert lines(tables.levels, "open, seen")["sft"] == ("100.0", "33.3", "66.7", "6", "0")


def test_positions_have_accuracy_and_share(tables):
    # The model that always answers the first option shown.
    shares = lines(tables.positions, "Share of the answers that name an option")["clip_l"]
    assert shares == ("100.0", "0.0", "0.0", "0.0", "0.0")
    titles = [group.title for group in tables.positions.groups]
    assert titles[0].startswith("Right, of the questions")
