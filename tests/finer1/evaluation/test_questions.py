import pytest

from finer1.data_params import QuestionsParams
from finer1.evaluation.options import LikelyNames
from finer1.evaluation.questions import build_questions
from finer1.prompts import question
from finer1.records import ImageRecord, SplitRecord

GROUPS = {
    "elm wren": "wren", "oak wren": "wren", "ash wren": "wren",
    "reed tern": "tern", "kelp tern": "tern", "sand tern": "tern",
}  # fmt: skip


def settings(**changes):
    values = {
        "part": "test", "images_per_class": 2, "source": "built", "order": "shuffled",
        "options": "siblings", "encoder": "open_clip:none", "num_options": 4,
    }  # fmt: skip
    return QuestionsParams(**(values | changes))


def image(label, number, part="test", group="", category="bird"):
    member = f"{label}/{number}.png"
    kin = GROUPS[label] if group == "" else group
    record = ImageRecord(f"w/{member}", "w", category, label, kin, "0" * 64, "0" * 16, "test")
    return SplitRecord(record, seen=label.endswith("wren"), part=part)


@pytest.fixture
def splits():
    """Six classes of two genera, three test images each; wrens are seen, terns unseen."""
    return [image(label, number) for label in GROUPS for number in range(3)]


def closed(questions):
    return [item for item in questions if item.setting == "closed"]


def test_each_image_gets_a_closed_and_an_open_question(splits):
    asked = build_questions(splits, settings(images_per_class=3), seed=0)
    assert sorted(item.id for item in asked) == sorted(
        f"{setting}/{row.image.id}" for row in splits for setting in ("closed", "open")
    )


def test_at_most_images_per_class_of_the_part(splits):
    other = [image(label, 9, part="validation") for label in GROUPS]
    asked = build_questions(splits + other, settings(images_per_class=2), seed=0)
    assert len(asked) == 2 * 2 * len(GROUPS)
    assert not any("/9.png" in item.id for item in asked)


def test_more_images_per_class_keep_the_questions_of_fewer(splits):
    few = build_questions(splits, settings(images_per_class=1), seed=0)
    many = build_questions(splits, settings(images_per_class=2), seed=0)
    assert set(few) < set(many)


def test_a_question_does_not_depend_on_the_order_of_rows(splits):
    asked = build_questions(splits, settings(), seed=0)
    assert set(build_questions(splits[::-1], settings(), seed=0)) == set(asked)


def test_siblings_come_first_and_the_rest_from_the_category(splits):
    for item in closed(build_questions(splits, settings(num_options=4), seed=0)):
        siblings = {name for name in GROUPS if GROUPS[name] == GROUPS[item.label]}
        assert siblings < set(item.options)  # all three of the genus, and one other
        assert len(set(item.options)) == 4


def test_random_options_do_not_prefer_siblings(splits):
    asked = closed(build_questions(splits, settings(options="random", num_options=3), seed=0))
    kin = [GROUPS[name] == GROUPS[q.label] for q in asked for name in q.options if name != q.label]
    assert 0 < sum(kin) < len(kin)
    assert {item.source for item in asked} == {"random"}


@pytest.mark.parametrize(("num_options", "source"), [(3, "siblings"), (4, "mixed")])
def test_a_source_of_siblings_has_siblings_alone(splits, num_options, source):
    # Two siblings each: with three other options, one of them is none.
    asked = closed(build_questions(splits, settings(num_options=num_options), seed=0))
    assert {item.source for item in asked} == {source}


def test_unknown_groups_make_the_source_random():
    rows = [image(label, 0, group=None) for label in GROUPS]
    assert {item.source for item in closed(build_questions(rows, settings(), seed=0))} == {"random"}


def test_clip_options_are_the_likeliest_names_in_seeded_order(splits):
    likeliest = ("sand tern", "reed tern", "oak wren", "kelp tern")
    likely = LikelyNames("clip:m@0123", {row.image.id: likeliest for row in splits})
    asked = closed(build_questions(splits, settings(options="clip"), 0, likely))
    likeliest = {"sand tern", "reed tern", "oak wren"}
    assert {item.source for item in asked} == {"clip:m@0123"}
    for item in asked:
        # The four likeliest; a truth below them takes the place of the fourth.
        assert set(item.options) == likeliest | {
            "kelp tern" if item.label in likeliest else item.label
        }
    assert len({item.options.index(item.label) for item in asked}) > 1


def test_the_truth_stands_first_where_the_order_is_that_of_the_release(splits):
    stored = closed(build_questions(splits, settings(order="stored"), seed=0))
    shuffled = closed(build_questions(splits, settings(), seed=0))
    assert all(item.options[0] == item.label for item in stored)
    assert [set(item.options) for item in stored] == [set(item.options) for item in shuffled]


def test_an_image_with_other_parts_is_asked_about_once(splits):
    twice = [image("elm wren", 7, part=part) for part in ("sft", "tapo")]
    assert build_questions(splits + twice, settings(), 0) == build_questions(splits, settings(), 0)


def test_options_mix_seen_and_unseen_classes(splits):
    for item in closed(build_questions(splits, settings(num_options=6), seed=0)):
        assert set(item.options) == set(GROUPS)


def test_options_stay_inside_the_category(splits):
    fish = [image(name, 0, group="g", category="fish") for name in ("a", "b", "c", "d")]
    for item in closed(build_questions(splits + fish, settings(), seed=0)):
        assert set(item.options) <= (
            {"a", "b", "c", "d"} if item.category == "fish" else set(GROUPS)
        )


def test_the_truth_stands_at_every_position():
    rows = [image(label, number) for label in GROUPS for number in range(40)]
    asked = closed(build_questions(rows, settings(images_per_class=40), seed=0))
    places = [item.options.index(item.label) for item in asked]
    # 240 questions, 60 expected at each of four places, standard deviation 6.7.
    assert all(abs(places.count(place) - 60) < 27 for place in range(4))


def test_another_seed_gives_other_wordings_and_orders(splits):
    first, second = (build_questions(splits, settings(), seed=seed) for seed in (0, 1))
    assert {q.text for q in first} <= {question("bird", number) for number in range(10)}
    texts = {q.id: (q.text, q.options) for q in first}
    assert any(texts.get(q.id) != (q.text, q.options) for q in second if q.id in texts)


def test_open_questions_have_no_options(splits):
    asked = build_questions(splits, settings(), seed=0)
    assert all(not q.options and q.source == "open" for q in asked if q.setting == "open")


def test_too_few_classes_for_the_options_is_refused(splits):
    with pytest.raises(ValueError, match=r"num_options.*bird has 6.*lower"):
        build_questions(splits, settings(num_options=7), seed=0)


def test_an_empty_part_is_refused(splits):
    with pytest.raises(ValueError, match=r"questions\.part"):
        build_questions(splits, settings(part="validation"), seed=0)
