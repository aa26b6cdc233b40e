from dataclasses import replace

import pytest

from finer1.evaluation_params import GeneralModel
from finer1.report.comparison_view import COLUMNS, clip_note, comparison_notes, view_comparison
from finer1.report.inputs import read_inputs
from tests.finer1.report.made_up_metrics import cell

PAPER = {"paper_accuracy": (0.7, 0.06), "accuracy": (0.5, 0.1)}


@pytest.fixture(scope="module")
def inputs(further):
    return read_inputs(further)


@pytest.fixture
def note(inputs):
    """The notes of a comparison, after changes of sections of the params."""

    def make(datasets=("bird",), **sections):
        params = inputs.params
        for name, values in sections.items():
            section = getattr(params, name).model_copy(update=values)
            params = params.model_copy(update={name: section})
        return " ".join(comparison_notes(params, datasets))

    return make


def test_columns_are_those_of_the_paper():
    assert len(COLUMNS) == 15  # six datasets and their average on both sides, then the average
    assert (COLUMNS[6], COLUMNS[13], COLUMNS[14]) == (
        ("seen", "avg"), ("unseen", "avg"), ("avg", "avg"),
    )  # fmt: skip


def test_without_a_published_dataset_nothing_is_compared(inputs):
    view = view_comparison(inputs)
    assert (view.datasets, view.notes, view.benchmarks) == ((), (), ())
    assert [table.number for table in view.tables] == ["1", "2", "6"]


def test_a_cell_says_what_was_found(inputs):
    metrics = cell("clip_l/bird/closed/seen", **PAPER)
    view = view_comparison(replace(inputs, metrics=metrics))
    (row, *_) = dict(view.tables[0].families)["clip"]
    found = row.cells[COLUMNS.index(("seen", "bird"))]
    # 70 [64, 76] holds the published 73.96.
    assert (found.published, found.value, found.headline) == ("74.0", "70.0", "50.0")
    assert (found.interval, found.difference, found.is_clear) == (
        "64.0\N{EN DASH}76.0", "\N{MINUS SIGN}4.0", False,
    )  # fmt: skip
    assert row.cells[6].averaged == "1 of 6"
    assert row.cells[14].averaged == "1 of 12"


def test_a_published_figure_outside_the_interval_is_clear(inputs):
    metrics = cell("clip_l/bird/closed/seen", paper_accuracy=(0.7, 0.03), accuracy=(0.5, 0.1))
    (row, *_) = dict(view_comparison(replace(inputs, metrics=metrics)).tables[0].families)["clip"]
    assert row.cells[1].is_clear


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({}, "Ours are answers to questions that this run made (options: siblings, at most 8 im"),
        ({"questions": {"source": "released", "order": "stored"}}, "right option first in all of"),
        ({"questions": {"source": "released"}}, "with their options in an order drawn by seed"),
        ({}, "ours by char_ngrams: spelling alone: they are not comparable"),
        ({}, "An average is over the datasets of this run alone"),
        ({}, "stand for no published row; report.published in params.yaml names one"),
    ],
)
def test_what_keeps_figures_apart_is_told(note, sections, words):
    assert words in note(**sections)


def test_what_does_not_keep_them_apart_is_not_told(note):
    datasets = ("aircraft", "bird", "car", "dog", "flower", "pet")
    encoder = {"encoder": "siglip:google/siglip-base-patch16-256@0"}
    told = note(datasets, score=encoder, report={"published": {"tapo": "Fine-R1-3B"}})
    assert told.startswith("Ours are answers to questions that this run made")
    assert told.count(".") == 1


def test_a_part_of_a_dataset_is_told(note, inputs):
    download = {"bird": inputs.params.download.bird.model_copy(update={"subset": True})}
    assert "Of bird this run has a part of the official images." in note(download=download)


def test_better_than_clip_needs_two_sources(inputs):
    assert clip_note(inputs.params, frozenset()) == ""
    assert "at least two sources of options. This run has one (siblings)." in clip_note(
        inputs.params, inputs.wordless
    )


def test_the_model_that_writes_nothing_is_known(inputs):
    assert inputs.wordless == {"clip_l"}


def test_table_8_stands_beside_the_published_figures(inputs):
    params = inputs.params
    report = params.report.model_copy(update={"published": {"base": "Qwen2.5-VL-3B"}})
    scores = {"base": {"MME": 1600.0, "SEED-Bench": 70.0}, "direct": {"MME": 10.0}}
    taken = {name: GeneralModel(model=f"models/{name}") for name in scores}
    general = params.general.model_copy(update={"models": taken})
    params = params.model_copy(update={"report": report, "general": general})
    changed = replace(inputs, params=params, benchmarks=scores)
    rows = view_comparison(changed).benchmarks
    found = [(row["model"], row["value"], row["published"], row["difference"]) for row in rows]
    assert found == [
        ("base", 1600.0, 1591.0, 9.0), ("base", 70.0, 73.74, -3.74), ("direct", 10.0, None, None),
    ]  # fmt: skip
