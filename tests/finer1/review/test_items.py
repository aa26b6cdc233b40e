import pytest

from finer1.teacher.yields import ClassYield
from tests.finer1.review.conftest import rationale


def labels(made):
    return [item.rationale.label for item in made.items]


def test_class_with_the_lowest_yield_comes_first(make_desk):
    yields = {
        ("w", "bird", "elm wren"): ClassYield(asked=2, kept=2, samples=2),
        ("w", "bird", "oak wren"): ClassYield(asked=2, kept=1, samples=2),
    }
    assert labels(make_desk(yields=yields)) == ["oak wren", "elm wren"]


def test_of_equal_yields_the_one_with_more_samples_comes_first(make_desk):
    yields = {
        ("w", "bird", "elm wren"): ClassYield(asked=1, kept=1, samples=1),
        ("w", "bird", "oak wren"): ClassYield(asked=1, kept=1, samples=4),
    }
    assert labels(make_desk(yields=yields)) == ["oak wren", "elm wren"]


def test_within_a_class_queued_ones_come_first_then_most_attempts(make_desk):
    rows = [rationale("elm wren", 0), rationale("elm wren", 1, attempts=3)]
    made = make_desk(rows, queued=[rationale("elm wren", 2)])
    assert [item.rationale.image_id for item in made.items] == [
        "w/elm wren/2.png",
        "w/elm wren/1.png",
        "w/elm wren/0.png",
    ]
    assert [item.failed for item in made.items] == [("language",), (), ()]


def test_so_many_of_each_class(make_desk):
    rows = [rationale(label, number) for label in ("elm wren", "oak wren") for number in range(3)]
    assert labels(make_desk(rows, per_class=2)) == ["elm wren"] * 2 + ["oak wren"] * 2


def test_references_are_other_images_of_both_and_never_of_the_test(make_desk):
    item = make_desk([rationale("elm wren", 1)]).items[0]
    assert item.same == ("w/elm wren/0.png", "w/elm wren/2.png")
    assert item.competitor == "oak wren"
    assert item.others == ("w/oak wren/0.png", "w/oak wren/1.png")


def test_competitor_without_an_image_has_none(make_desk):
    item = make_desk([rationale("elm wren", options=("ash wren", "elm wren"))]).items[0]
    assert (item.competitor, item.others) == ("ash wren", ())


def test_rationale_without_options_has_no_competitor(make_desk):
    assert make_desk([rationale("elm wren", options=())]).items[0].competitor is None


def test_stand_in_image_has_the_concepts_of_its_class(make_desk):
    # image 0 is the SFT image of the elm wren, image 1 none that the stage `concepts` saw
    made = make_desk([rationale("elm wren", 1)], seen=[rationale("elm wren", 0)])
    assert made.items[0].concepts == ("red crown",)


def test_image_of_a_class_without_concepts_has_none(make_desk):
    assert make_desk([rationale("elm wren", 1)], seen=[]).items[0].concepts == ()


def test_without_any_rationale_there_is_nothing_to_judge(make_desk):
    with pytest.raises(ValueError, match="holds no rationale; look at"):
        make_desk([])
