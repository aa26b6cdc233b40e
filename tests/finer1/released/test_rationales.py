import json
from collections import Counter

import pytest

from finer1.prompts import parse_completion
from finer1.reference.release import RATIONALES
from finer1.released.rationales import (
    load_released_rationales,
    released_images,
    released_rationales,
)

CROW = "American Crow"
PATH = "bird_200/images_train/029.American_Crow/a.jpg"


def test_completion_is_kept_verbatim(write_rationales, record):
    folder = write_rationales((PATH, CROW))
    (row,) = released_rationales(folder, [record("bird/029.American_Crow/a.jpg", CROW)]).rationales
    assert row.completion == (
        "<think>The prediction is: American Crow</think>\n\n<answer>American Crow</answer>"
    )
    assert (row.id, row.question) == ("cot/bird/029.American_Crow/a.jpg", "Which one is it?")
    assert row.prediction == CROW
    assert row.engine.startswith(f"released:{RATIONALES}@")


def test_section_that_is_not_found_is_counted(write_rationales, record):
    folder = write_rationales((PATH, CROW))
    found = released_rationales(folder, [record("bird/x/a.jpg", CROW)])
    assert found.missing == {"analysis": 1, "options": 1, "comparison": 1}
    assert "in 1 of 1 released rationales no options was found" in found.sentences()


def test_test_image_of_the_same_name_does_not_join(write_rationales, record):
    folder = write_rationales(("stanford_cars_train/images/00001.jpg", "Geo Metro"))
    train = record("car/cars_train/00001.jpg", "Geo Metro")
    test = record("car/cars_test/00001.jpg", "Geo Metro", "test")
    assert released_images(folder, [test, train]).image_ids == {"car/cars_train/00001.jpg"}
    alone = released_images(folder, [test])
    assert alone.image_ids == frozenset()
    assert alone.unjoined == ("stanford_cars_train/images/00001.jpg",)


def test_official_validation_image_joins(write_rationales, record):
    folder = write_rationales(("flower102_train/image/train/image_1.jpg", "rose"))
    image = record("flower/image_1.jpg", "rose", "validation")
    assert released_images(folder, [image]).image_ids == {"flower/image_1.jpg"}


def test_image_in_two_parts_joins_once(write_rationales, record):
    folder = write_rationales((PATH, CROW))
    image = record("bird/x/a.jpg", CROW)
    assert len(released_rationales(folder, [image, image]).rationales) == 1


def test_file_name_of_two_images_joins_neither(write_rationales, record):
    folder = write_rationales((PATH, CROW))
    images = [record("bird/x/a.jpg", CROW), record("bird/y/a.jpg", CROW)]
    found = released_images(folder, images)
    assert (found.image_ids, found.unjoined, found.ambiguous) == (frozenset(), (), (PATH,))
    (sentence,) = released_rationales(folder, images).sentences()
    assert sentence == (
        "1 released rationales are about a file name of several images with a part in this split: "
        f"{PATH}"
    )


def test_other_answer_than_the_label_is_left_out_and_told(write_rationales, record):
    folder = write_rationales((PATH, "Fish Crow"))
    found = released_rationales(folder, [record("bird/x/a.jpg", CROW)])
    assert found.rationales == []
    assert found.mislabelled == {"bird/x/a.jpg": "Fish Crow"}
    assert found.sentences()[0].startswith("the released rationale about bird/x/a.jpg answers Fish")


def test_datasets_that_are_not_at_hand_are_passed_over(write_rationales, record):
    folder = write_rationales((PATH, CROW), ("oxford-pet-train/train/Bengal_1.jpg", "Bengal"))
    found = released_rationales(folder, [record("pet/Bengal_2.jpg", "Bengal")])
    assert found.unjoined == ["oxford-pet-train/train/Bengal_1.jpg"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"images": []}, "item 1: 0 images instead of one"),
        ({"images": ["nowhere/a.jpg"]}, "item 1: 'nowhere/a.jpg' lies in none of the released"),
        ({"images": "a.jpg"}, "item 1: images: "),
        ({"messages": []}, "item 1: its messages are not"),
        ({"other": 1}, "item 1: other: "),
        (
            {
                "messages": [
                    {"role": "user", "content": "<image>?"},
                    {"role": "assistant", "content": "no tags"},
                ]
            },
            "item 1: the completion is not <think>",
        ),
    ],
)
def test_broken_item_is_named_with_its_number(changes, said, write_rationales):
    folder = write_rationales((PATH, CROW), **changes)
    with pytest.raises(ValueError, match=said):
        load_released_rationales(folder / RATIONALES)


def test_image_that_comes_twice_is_refused(write_rationales):
    folder = write_rationales((PATH, CROW), (PATH, CROW))
    with pytest.raises(ValueError, match=f"item 2: {PATH} is already in item 1"):
        load_released_rationales(folder / RATIONALES)


@pytest.mark.parametrize(
    ("content", "said"), [("[", "this is no JSON"), ("{}", "this is no list of conversations")]
)
def test_broken_file_is_named(content, said, tmp_path):
    (tmp_path / RATIONALES).write_text(content)
    with pytest.raises(ValueError, match=f"{RATIONALES}: {said}"):
        load_released_rationales(tmp_path / RATIONALES)


def test_absent_file_says_how_to_get_it(tmp_path):
    with pytest.raises(ValueError, match="is missing; `finer1 data released`"):
        load_released_rationales(tmp_path / RATIONALES)


def test_sample_is_read_whole(sample, reference):
    items = load_released_rationales(sample / RATIONALES)
    stored = json.loads((reference / "stage1_cot_sample.json").read_text())
    assert [item.completion for item in items] == [row["messages"][2]["content"] for row in stored]
    completions = [parse_completion(item.completion) for item in items]
    assert all(row.is_tagged for row in completions)
    assert [row.answer for row in completions] == [item.answer for item in items]
    # Of all 404, 399 name four candidates; nothing can be read from those without one.
    assert Counter(len(item.prose.options) for item in items)[4] >= 0.97 * len(items)
    assert all(item.prose.analysis and item.prose.prediction for item in items)


@pytest.mark.parametrize(
    ("dataset", "joined", "unjoined"),
    [("bird", 3, 25), ("car", 6, 33), ("dog", 3, 21), ("flower", 3, 17), ("pet", 1, 3)],
)
def test_real_photographs_join_with_their_label(dataset, joined, unjoined, sample, real_rows):
    # The sample's images that are among the photographs, counted by file name.
    found = released_rationales(sample, [item.image for item in real_rows(dataset)])
    assert (len(found.rationales), len(found.unjoined)) == (joined, unjoined)
    assert found.mislabelled == {}
