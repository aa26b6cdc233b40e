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
        "is an answer in training; but 1 of the 1 are named among the options of 1 of the 3 "
        "rationales, whose comparison may describe them."
    )


def test_trained_unseen_images_would_be_told(inputs, tell):
    unseen = next(row.image for row in inputs.splits if not row.seen)
    leaked = replace(inputs.rationales[0], image_id=unseen.id, label=unseen.label)
    text = tell(rationales=[leaked])["Unseen sub-categories"]
    assert text.startswith("1 of the images trained on shows an unseen sub-category, and 1 of the")


def test_a_search_of_whole_texts_is_told(inputs, tell):
    first, *others = inputs.rationales
    prose = replace(first, options=(), completion="<think>No reed tern.</think>")
    text = tell(rationales=[prose, *others])["Unseen sub-categories"]
    assert "but 1 of the 1 are named in 1 of the 3 rationales, whose" in text
    assert "1 rationales are kept word for word and searched as a whole for whole names" in text
    text = tell(rationales=[prose])["Unseen sub-categories"]
    assert "but 1 of the 1 are named in the text of 1 of the 1 rationales" in text


def test_that_training_and_evaluation_are_apart_is_told(tell):
    assert tell()["Training and evaluation apart"] == (
        "Checked in this run before it trained, over 17 images of 4 sub-categories: none of the 9 "
        "images trained on is among the 8 of validation and test or shows an unseen sub-category; "
        "a run where one does stops there. No pairs of files have equal bytes but other parts or "
        "labels. 3 pairs of a training and a test image look alike, and 0 of a training and a "
        "validation image (perceptual hashes at most 6 of 64 bits apart). SFT and TAPO share no "
        "image."
    )


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({"overlap_images": 4, "overlap_classes": 3},
         "SFT and TAPO share 4 images, of 3 sub-categories with too few for both (split.overlap)."),
        ({"duplicates": 2, "duplicates_trained_and_evaluated": 1},
         "2 pairs of files have equal bytes but other parts or labels; in 1 of them one is trained "
         "on and the other evaluated."),
        ({"near_duplicates_truncated": 1},
         "At least 3 pairs of a training and a test image look alike, and at least 0 of a"),
        ({"unseen_seen_elsewhere": 5}, "5 unseen sub-categories have the name of a seen one of"),
    ],
)  # fmt: skip
def test_what_training_and_evaluation_share_is_told(inputs, tell, counts, words):
    recorded = {**inputs.recorded, **{f"split/{name}": n for name, n in counts.items()}}
    assert words in tell(recorded=recorded)["Training and evaluation apart"]


def test_augmented_positives_are_told(inputs, tell):
    assert "random augmentation" not in tell()["Stage 2, TAPO"]
    recorded = {
        **inputs.recorded, "triplets/anchors": 8, "triplets/positives_augmented": 3
    }  # fmt: skip
    assert (
        "In 3 of 8 triplets the positive is a random augmentation of the anchor (flip, shift, "
        "brightness): its sub-category has no other TAPO image."
    ) in tell(recorded=recorded)["Stage 2, TAPO"]


def test_sub_categories_without_enough_siblings_are_told(inputs, tell):
    assert "in their group" not in tell()["Stage 2, TAPO"]
    counts = {"triplets/classes": 7, "triplets/classes_with_too_few_siblings": 3}
    told = tell({"triplets": {"rank": 2}}, recorded={**inputs.recorded, **counts})
    assert (
        "3 of 7 sub-categories have fewer than 2 seen ones in their group: the negative is chosen "
        "from all of their category. "
    ) in told["Stage 2, TAPO"]


def test_released_sft_images_are_told(tell):
    text = tell({"split": {"sft_images": "released", "overlap": True}})["Stage 1, SFT"]
    assert text.startswith("at most 1 image(s) per seen sub-category (2 are those of the release),")


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({}, "questions in ten wordings."),
        ({}, "in an order drawn per question by seed 0;"),
        ({"questions": {"source": "released", "order": "shuffled"}}, "in an order drawn"),
        ({"questions": {"source": "released", "order": "stored"}}, "with the right option first;"),
        ({"questions": {"source": "released"}}, "questions in the released wording."),
    ],
)
def test_wording_and_order_of_the_questions_are_told(tell, sections, words):
    assert words in tell(sections)["Questions"]


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
        ({"triplets": {"rank": 2}}, "negative: the 2. nearest other seen sub-category."),
        ({"triplets": {"negative": "siblings"}}, "negative: the nearest seen sub-category of the"),
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


def test_steps_in_place_of_epochs_are_told(tell, inputs):
    assert "91 steps at batch size" in tell({"sft": {"steps": 91}})["Stage 1, SFT"]
    kept = tell({"sft": {"steps": 0}})
    assert kept["Stage 1, SFT"] == "No step: the model is the base."
    # TAPO's images alone are trained on, and no rationale is read.
    assert "rationales" not in kept["Unseen sub-categories"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "; open questions. "),
        (
            {"question": "class_list", "strategy": "think"},
            "; questions with all seen sub-categories of the category as options, to think first. ",
        ),
        ({"strategy": "direct"}, "; open questions, for the name alone. "),
        ({"dynamic_sampling": False}, ", every group trained on; "),
    ],
)
def test_how_the_policy_is_asked_is_told(tell, changes, words):
    assert words in tell({"tapo": changes})["Stage 2, TAPO"]


def test_shared_images_are_told_apart_from_too_few(tell, inputs):
    counts = {"split/overlap_images": 4, "split/overlap_classes": 2}
    text = tell({"split": {"shared": True}}, recorded={**inputs.recorded, **counts})
    told = text["Training and evaluation apart"]
    assert "SFT and TAPO share 4 images, of 2 sub-categories (split.shared)." in told


@pytest.mark.parametrize(
    ("changes", "ending"),
    [
        ({"show_concepts": False}, " It was told of no visual concepts."),
        ({"filter": False}, " No filter: the first sample of each image was kept."),
        ({}, ")."),
    ],
)
def test_what_the_teacher_was_told_and_what_was_kept_is_told(tell, changes, ending):
    assert tell({"cot": changes})["Teacher"].endswith(ending)
