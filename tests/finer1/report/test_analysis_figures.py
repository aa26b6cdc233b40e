from dataclasses import replace

import pytest

from finer1.evaluation_params import NamedModel
from finer1.records import Concepts
from finer1.report.analysis import collect_analysis
from finer1.report.analysis_rows import analysis_rows
from finer1.report.concept_pairs import show_pairs
from finer1.report.inputs import read_inputs
from finer1.report.page import render_page
from finer1.report.results_file import COLUMNS
from tests.finer1.analysis.analyses import made_up


@pytest.fixture(scope="module")
def inputs(params):
    """Those of the fabricated run, with the analyses of its base and of its TAPO."""
    found = {"base": made_up(4, (0.1, 0.2)), "tapo": made_up(6, (0.3, 0.5))}
    models = {name: NamedModel(model=f"models/{name}") for name in found}
    analysis = params.analysis.model_copy(update={"models": models})
    named = params.model_copy(update={"analysis": analysis})
    return replace(read_inputs(params), params=named, analyses=found)


@pytest.fixture(scope="module")
def view(inputs):
    return collect_analysis(inputs.params, inputs.analyses)


def values(row):
    return [cell and cell.value for cell in row.cells]


def test_a_model_has_the_figures_of_table_4_and_those_that_do_not_leak(view):
    base, tapo = view.rows
    assert (base.key, base.model, tapo.model) == ("base", "base", "TAPO")
    assert values(tapo) == ["75.0", "62.5", "50.0", "0.4000", "2.50", "75.0"]
    for cell, epoch in zip(tapo.cells, (7, 9, 8), strict=False):
        assert cell.under == ("10.0\u201390.0", f"epoch {epoch}")
    assert tapo.cells[4].under == ("p = 0.2400", "permuted = 0.5000")
    assert tapo.cells[5].under[1] == "chance 50.0, p = 0.0400"


def test_differences_are_to_the_first_model(view):
    (change,) = view.changes
    assert change.model == "TAPO \u2212 base"
    # t of 0.2 and 0.3 is 5.
    assert values(change) == ["+25.0", "+25.0", "+25.0", "+0.2500", "5.00", "+25.0"]


def test_published_figures_stand_as_they_are_with_what_is_wrong_with_them(view):
    base, ours = view.published
    assert values(base) == ["84.26", None, None, "0.0088", "\u22120.3872", None]
    assert values(ours) == ["85.00", None, None, "0.0531", None, None]
    assert any("107 to 137 pairs" in note for note in view.notes)
    assert any("leaks" in note for note in view.notes)


def test_what_is_left_out_is_counted(view):
    assert any("Left out: 1 sub-categories, which have test images but" in n for n in view.notes)
    assert any("Left out: 3 sub-categories, which are of categories" in n for n in view.notes)
    assert any("intervals are narrower than they should be" in n for n in view.notes)


def test_every_model_has_its_curve_and_its_names(view):
    assert [name for name, _, _ in view.names] == ["base", "TAPO"]
    for colour in ("--base", "--tapo"):
        assert f"var({colour})" in view.layers
    assert "var(--tapo)" in view.names[1][2]


def test_without_genera_the_page_says_so(inputs):
    found = {"base": replace(inputs.analyses["base"], similarity=None)}
    view = collect_analysis(inputs.params, found)
    assert values(view.rows[0])[3:5] == [None, None]
    assert view.layers is None
    assert any("no sub-category has a congener" in note for note in view.notes)


def test_the_page_shows_the_section_only_where_there_is_an_analysis(inputs):
    assert "What the hidden states hold" in render_page(inputs)
    assert "What the hidden states hold" not in render_page(replace(inputs, analyses={}))


def test_the_results_file_has_every_figure(inputs):
    rows = analysis_rows(inputs)
    assert all(tuple(row) == COLUMNS for row in rows)
    found = {(row["model"], row["metric"]): row for row in rows}
    assert found["TAPO", "probe_best_on_test"]["value"] == 75.0
    assert found["TAPO", "probe_last"]["value"] == 62.5
    assert found["TAPO", "probe_best_on_validation"]["value"] == 50.0
    assert found["TAPO", "probe_last"]["n"] == 8
    assert found["TAPO - base", "similarity_difference"]["value"] == 0.25
    assert found["TAPO - base", "similarity_permutation_p"]["value"] == 0.5
    assert found["Fine-R1", "probe_best_on_test"]["published"] == 85.0
    assert ("Fine-R1", "similarity_t") not in found
    assert analysis_rows(replace(inputs, analyses={})) == []


def test_figure_5_is_shown_where_a_class_has_two_images_with_concepts(inputs):
    assert show_pairs(inputs) is None
    first = inputs.concepts[0]
    twin = next(
        row.image.id
        for row in inputs.splits
        if row.image.label == first.label and row.image.id != first.image_id
    )
    more = [*inputs.concepts, Concepts(twin, first.label, (), ("red crown", "a perch"), (1.0, 0.5))]
    (told,) = show_pairs(replace(inputs, concepts=more)).told
    assert told.startswith(f"{first.label}: ")
    assert told.endswith("in both red crown")
    page = render_page(replace(inputs, concepts=more))
    assert "Two images of one sub-category" in page
