"""The stage `concepts` on the embedded world, where the truth is known, and on other images."""

import pytest

from tasks.concepts import concepts
from tasks.download import download
from tasks.split import split

WORLD = {
    "download.world.train_per_class": 5,
    "download.world.validation_per_class": 1,
    "download.world.test_per_class": 1,
    "concepts.captions_per_instruction": 3,
}


@pytest.fixture
def run(make_context):
    """Run the stages up to `concepts`; its metrics."""

    def run(changes):
        for body in (download, split):
            body(make_context(body.__name__, changes))
        return concepts(make_context("concepts", changes))

    return run


@pytest.mark.slow
def test_quality_is_measured_on_the_embedded_world(run):
    metrics = run(WORLD)
    # Five of a class's ten candidates are true of its images.
    assert metrics["concepts/random_precision"] == pytest.approx(0.5)
    for figure in ("precision", "recall"):
        assert metrics[f"concepts/{figure}"] > metrics[f"concepts/frequency_{figure}"] + 0.15
        assert metrics[f"concepts/{figure}"] > metrics[f"concepts/random_{figure}"] + 0.15


def test_quality_is_unknown_for_other_images(run, own_images):
    assert "concepts/precision" not in run(own_images[1])


def test_the_line_in_whose_middle_a_list_was_cut_is_dropped(run, own_images, caplog):
    # The template engine counts words; its lists have 8 phrases of 2 words, in 9 words, since a
    # line break is no space.
    figures = run(own_images[1] | {"concepts.max_tokens": 3})
    assert figures["concepts/lists_cut"] > 0
    assert "was cut; its last line is dropped" in caplog.text
