from dataclasses import replace

import pytest

from finer1.report.inputs import read_inputs
from finer1.report.protocol import describe_protocol


@pytest.fixture(scope="module")
def inputs(params):
    """Three seen classes and the unseen reed tern."""
    return read_inputs(params)


@pytest.fixture
def tell(inputs):
    """The protocol as a mapping, after changes of params (section -> values) and inputs."""

    def describe(sections=None, **changes):
        params = inputs.params
        for name, values in (sections or {}).items():
            section = getattr(params, name).model_copy(update=values)
            params = params.model_copy(update={name: section})
        return dict(describe_protocol(replace(inputs, params=params, **changes)))

    return describe


def test_unseen_names_among_the_options_are_counted(inputs, tell):
    assert "but 0 of the 1 are named among the options" in tell()["Unseen sub-categories"]
    first, *others = inputs.rationales
    naming = replace(first, options=(first.label, "Reed  Tern"))  # the same name, normalised
    text = tell(rationales=[naming, *others])["Unseen sub-categories"]
    assert text == (
        "None of the images trained on show an unseen sub-category, and none of the 1 unseen ones "
        "is an answer in training; but 1 of the 1 are named among the options of the rationales, "
        "whose comparison may describe them."
    )


def test_trained_unseen_images_would_be_told(inputs, tell):
    unseen = next(row.image for row in inputs.splits if not row.seen)
    leaked = replace(inputs.rationales[0], image_id=unseen.id, label=unseen.label)
    text = tell(rationales=[leaked])["Unseen sub-categories"]
    assert text.startswith("1 of the images trained on shows an unseen sub-category, and 1 of the")


def test_options_do_not_count_where_the_answer_alone_is_trained_on(tell):
    assert "options" not in tell({"sft": {"target": "answer"}})["Unseen sub-categories"]


def test_sft_that_waits_for_the_format_tells_its_length(tell):
    assert "2 epochs at batch size" in tell()["Stage 1, SFT"]
    text = tell({"sft": {"min_format_rate": 0.9, "max_epochs": 6.0}})["Stage 1, SFT"]
    # The fabricated log ends with step 3.
    assert "at least 2 and at most 6 epochs, until 90 % of the completions" in text
    assert "(3 steps), at batch size" in text


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({}, "negative: the nearest other seen sub-category."),
        ({"triplets": {"negative": "random"}}, "negative: another seen sub-category, drawn at"),
        ({"tapo": {"negative_image": "blackened"}}, "anchor with 60 % of its patches black"),
        ({}, "trained on under the anchor"),
        ({"tapo": {"update_image": "own"}}, "trained on under the image sampled with"),
        ({}, "temperature 1, top-p 0.99, at most 96 tokens"),
        ({}, "ratio clipped to 1 - 0.2 and 1 + 0.28."),
        ({"tapo": {"clip_dual": 3.0}}, "1 + 0.28, dual clip 3."),
        ({}, "vision tower frozen"),
        ({"tapo": {"train_vision": True}}, "vision tower trained"),
        ({"tapo": {"augment": True}}, "Anchors and positives augmented;"),
        ({"tapo": {"augment": False}}, "Anchors and positives as they are;"),
        ({"tapo": {"steps": 0}}, "No step: the model is that of stage 1."),
    ],
)
def test_what_shapes_tapo_is_told(tell, sections, words):
    assert words in tell(sections)["Stage 2, TAPO"]
