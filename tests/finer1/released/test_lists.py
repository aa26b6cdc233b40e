import pytest

from finer1.released.lists import released_lists

CROW, FLYCATCHER = "American Crow", "Acadian Flycatcher"
OPTIONS = (CROW, "Fish Crow", "Common Raven", "Eared Grebe")


def test_an_image_has_the_list_of_its_row_whatever_is_seen_here(write_questions, place):
    folder = write_questions("bird", seen=[("bird_200/images/029.A/a.jpg", OPTIONS, CROW)])
    found = released_lists(folder, [place("bird/029.A/a.jpg", CROW, seen=False)])
    assert found.options == {"bird/029.A/a.jpg": OPTIONS}
    assert found.sentences() == []


def test_training_images_have_no_list(write_questions, place):
    folder = write_questions("bird", seen=[("bird_200/images/029.A/a.jpg", OPTIONS, CROW)])
    rows = [place("bird/029.A/a.jpg", CROW, part="sft"), place("bird/029.A/b.jpg", CROW)]
    with pytest.raises(ValueError, match="no test image has released options; set it to sibl"):
        released_lists(folder, rows)


def test_test_images_without_a_row_are_told(write_questions, place):
    folder = write_questions("bird", seen=[("bird_200/images/029.A/a.jpg", OPTIONS, CROW)])
    found = released_lists(folder, [place(f"bird/029.A/{name}.jpg", CROW) for name in "ab"])
    assert found.unlisted == ["bird/029.A/b.jpg"]
    assert found.sentences() == [
        "1 test images have no released options and are left out: bird/029.A/b.jpg"
    ]


def test_a_truth_that_is_not_the_label_is_refused(write_questions, place):
    folder = write_questions("bird", seen=[("bird_200/images/029.A/a.jpg", OPTIONS, CROW)])
    with pytest.raises(ValueError, match=r"seen\.jsonl:1: the truth is American Crow, but"):
        released_lists(folder, [place("bird/029.A/a.jpg", FLYCATCHER)])


def test_lists_of_real_photographs_hold_their_label(reference, real_rows):
    rows = [row for row in real_rows("pet") if row.part == "test"]
    found = released_lists(reference, rows)
    labels = {row.image.id: row.image.label for row in rows}
    assert found.options
    assert all(options[0] == labels[key] for key, options in found.options.items())
