from itertools import product

import pytest

from finer1.datasets.interface import ListedImage
from finer1.own.plan import differing, fitting_shots, plan_settings
from finer1.params import load_params


@pytest.fixture
def params(repository):
    return load_params(repository / "params.yaml")


def listed(num_classes, num_train, group=None):
    """Classes with so many training images each, and a test image."""
    sides = ["train"] * num_train + ["test"]
    return [
        ListedImage(f"{label}/{i}.png", "beetle", f"class {label}", group, side, b"", "")
        for label, (i, side) in product(range(num_classes), enumerate(sides))
    ]


def settings_for(params, images):
    return differing(params, plan_settings("beetles", images, params, (None, None)).wanted)


# By hand: one for SFT, of the others at most four for TAPO, which needs two to have a positive.
@pytest.mark.parametrize(
    ("fewest", "shots"),
    [
        (9, (1, 4, False)),
        (5, (1, 4, False)),
        (4, (1, 3, False)),
        (3, (1, 2, False)),
        (2, (1, 2, True)),
        (1, (1, 1, True)),
    ],
)
def test_shots_fit_the_smallest_class(fewest, shots):
    assert fitting_shots(fewest, None, None) == shots


@pytest.mark.parametrize(
    ("fewest", "sft", "tapo", "shots"),
    [
        (9, 4, 12, (4, 12, True)),
        (9, 4, None, (4, 4, False)),
        (6, 4, None, (4, 2, False)),
        (9, None, 1, (1, 1, True)),
        (8, 4, 4, (4, 4, False)),
        (7, 4, 4, (4, 4, True)),
    ],
)
def test_shots_that_the_user_gave_stay(fewest, sft, tapo, shots):
    assert fitting_shots(fewest, sft, tapo) == shots


@pytest.mark.parametrize(
    ("num_train", "shots", "needed"),
    # With overlap the split takes any number.
    [(9, (None, None), 5), (2, (None, None), 1), (1, (None, None), 1), (3, (2, 8), 1)],
)
def test_each_class_needs_what_the_stages_take(params, num_train, shots, needed):
    assert plan_settings("beetles", listed(5, num_train), params, shots).shots.needed == needed


def test_the_dataset_is_the_one_of_the_run(params):
    settings = settings_for(params, listed(5, 9))
    assert settings["download.datasets"] == ["beetles"]


def test_what_is_so_already_is_not_set(params):
    settings = settings_for(params, listed(5, 9))
    # The default is 1 + 4 without overlap, and four options.
    assert not {"split.sft_shots", "split.tapo_shots", "split.overlap"} & settings.keys()
    assert "questions.num_options" not in settings


def test_released_sources_give_way(params):
    update = {"classes": "released", "sft_images": "released"}
    released = params.model_copy(
        update={
            "split": params.split.model_copy(update=update),
            "cot": params.cot.model_copy(update={"source": "released"}),
            "questions": params.questions.model_copy(update={"source": "released"}),
        }
    )
    settings = settings_for(released, listed(5, 9))
    assert settings["split.classes"] == "random"
    assert settings["split.sft_images"] == "drawn"
    assert settings["cot.source"] == "teacher"
    assert settings["questions.source"] == "built"


def test_the_oracle_gives_way_to_the_template_which_is_said_to_know_nothing(params):
    plan = plan_settings("beetles", listed(5, 9), params, (None, None))
    assert (plan.wanted["concepts.engine"], plan.wanted["cot.engine"]) == ("template",) * 2
    assert any("knows nothing" in text and "openai:MODEL" in text for text in plan.sentences)


def test_a_real_teacher_stays(params):
    engine = {"engine": "openai:some-model"}
    asked = params.model_copy(
        update={
            "concepts": params.concepts.model_copy(update=engine),
            "cot": params.cot.model_copy(update=engine),
        }
    )
    plan = plan_settings("beetles", listed(5, 9), asked, (None, None))
    assert not {"concepts.engine", "cot.engine"} & differing(asked, plan.wanted).keys()
    # What stays is wanted, too, so that no other source of settings replaces it.
    assert plan.wanted["cot.engine"] == "openai:some-model"
    assert not any("knows nothing" in text for text in plan.sentences)


def test_overlap_is_explained(params):
    plan = plan_settings("beetles", listed(5, 2), params, (None, None))
    assert plan.wanted["split.overlap"] is True
    assert any("trains both on the same ones" in text for text in plan.sentences)


@pytest.mark.parametrize(
    # floor(0.6 n) by hand; three classes are raised to two seen ones: ceil(200 / 3) / 100 = 0.67
    ("num_classes", "seen", "unseen", "fraction"),
    [(3, 2, 1, 0.67), (4, 2, 2, None), (5, 3, 2, None), (11, 6, 5, None)],
)
def test_seen_and_unseen_are_told(params, num_classes, seen, unseen, fraction):
    plan = plan_settings("beetles", listed(num_classes, 9), params, (None, None))
    assert plan.sentences[0].startswith(f"{seen} classes are seen in training, {unseen} unseen")
    assert differing(params, plan.wanted).get("split.seen_fraction") == fraction


def test_fewer_classes_than_options_lower_the_options(params):
    plan = plan_settings("beetles", listed(3, 9), params, (None, None))
    assert plan.wanted["questions.num_options"] == 3
    assert "closed questions have 3 options, as there are classes" in plan.sentences


def test_what_a_smaller_dataset_left_is_set_back_and_more_options_stay(params):
    def settings_after(num_options):
        questions = params.questions.model_copy(update={"num_options": num_options})
        split = params.split.model_copy(update={"seen_fraction": 0.67})
        before = params.model_copy(update={"questions": questions, "split": split})
        return settings_for(before, listed(11, 9))

    assert settings_after(3)["questions.num_options"] == 4
    assert settings_after(3)["split.seen_fraction"] == 0.6
    assert "questions.num_options" not in settings_after(8)


@pytest.mark.parametrize(("group", "negative"), [(None, "nearest"), ("Carabus", None)])
def test_siblings_need_groups(params, group, negative):
    triplets = params.triplets.model_copy(update={"negative": "siblings"})
    asked = params.model_copy(update={"triplets": triplets})
    plan = plan_settings("beetles", listed(5, 9, group), asked, (None, None))
    assert plan.wanted.get("triplets.negative") == negative


def test_shots_are_asked_of_seen_classes_alone(params):
    images = listed(5, 9)
    plan = plan_settings("beetles", images, params, (None, None))
    unseen = {("beetle", f"class {n}") for n in range(5)} - set(plan.shots.classes)
    # floor(0.6 x 5) = 3 are seen.
    assert len(unseen) == 2
    fewer = [i for i in images if ("beetle", i.label) not in unseen or i.official == "test"]
    assert plan_settings("beetles", fewer, params, (None, None)).shots == plan.shots


def test_a_path_differs_by_its_text(params):
    wanted = {"paths.base": str(params.paths.base), "paths.own": "elsewhere"}
    assert differing(params, wanted) == {"paths.own": "elsewhere"}
