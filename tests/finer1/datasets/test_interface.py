import pytest

from finer1.datasets import bird
from finer1.datasets.interface import check_counts, counts, find_folder, find_reader

OFFICIAL = {"images": 10, "classes": 2}


def test_only_readers_of_an_official_layout_are_found():
    assert find_reader("bird") is bird
    assert find_reader("birb") is None
    assert find_reader("interface") is None


@pytest.mark.parametrize("place", [".", "birds", "archives/birds"])
def test_a_folder_is_found_up_to_two_levels_below(tmp_path, place):
    folder = tmp_path / place
    folder.mkdir(parents=True, exist_ok=True)
    (folder / bird.MARKER).write_text("")
    assert find_folder(tmp_path, bird, "bird") == folder


def test_a_folder_that_is_not_there_says_what_it_must_hold(tmp_path):
    with pytest.raises(ValueError, match=f"no {bird.MARKER}, for dataset bird; expected .*images"):
        find_folder(tmp_path, bird, "bird")


def test_a_dataset_that_is_there_twice_is_not_guessed(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / bird.MARKER).write_text("")
    with pytest.raises(ValueError, match=r"more than once \(.*one, .*two\)"):
        find_folder(tmp_path, bird, "bird")


def test_the_official_counts_need_no_note():
    assert check_counts("bird", OFFICIAL, OFFICIAL, subset=False) == ()


def test_fewer_are_a_note_where_a_part_is_meant():
    assert check_counts("bird", {"images": 9, "classes": 2}, OFFICIAL, subset=True) == (
        "bird is a part of the official dataset: 9 images instead of 10",
    )


@pytest.mark.parametrize(
    ("images", "subset", "message"),
    [
        (9, False, r"9 images instead of 10; .*set download\.bird\.subset to true"),
        (11, True, "11 images instead of 10"),
        (0, True, "name no image"),
    ],
)
def test_other_counts_are_refused(images, subset, message):
    with pytest.raises(ValueError, match=message):
        check_counts("bird", {"images": images, "classes": 2}, OFFICIAL, subset)


def test_images_are_counted_by_class_and_side():
    images = [("a", "train"), ("a", "test"), ("b", "train")]
    assert counts(images) == {
        "images": 3,
        "classes": 2,
        "training images": 2,
        "validation images": 0,
        "test images": 1,
    }


def test_more_than_the_official_dataset_is_no_question_of_the_subset():
    with pytest.raises(ValueError, match="it is no part of the official dataset") as raised:
        check_counts("bird", {"images": 11, "classes": 2}, OFFICIAL, subset=True)
    assert "subset" not in str(raised.value)
