from collections import Counter

import pytest
from PIL import Image

from finer1.evaluation.asking import Shown
from finer1.evaluation.strategies import Asked
from finer1.records import ImageRecord, Question
from finer1.robustness.asking import (
    all_cells,
    choose_questions,
    copy_records,
    corrupt_asked,
    corrupt_questions,
    show_corrupted,
)
from finer1.robustness.corruptions import corrupt

IMAGES = [f"w/{label}/{number}.png" for label in ("elm wren", "oak wren") for number in range(5)]
CELLS = all_cells(["fog", "contrast"], [1, 5])


def question(setting, image_id):
    label = image_id.split("/")[1]
    options = ("elm wren", "oak wren") if setting == "closed" else ()
    return Question(
        f"{setting}/{image_id}", image_id, "bird", label, True, setting, "?", options, "random"
    )


QUESTIONS = [question(setting, image) for image in IMAGES for setting in ("closed", "open")]


@pytest.fixture
def shown():
    """Images of one colour each, which say how often they were read."""
    reads = Counter()

    def read(image_id):
        reads[image_id] += 1
        return Image.new("RGB", (16, 16), (10 * IMAGES.index(image_id), 90, 200))

    shown = Shown({image: f"{place:064x}" for place, image in enumerate(IMAGES)}, read)
    return shown, reads


def test_cells_begin_with_the_clean_one():
    assert CELLS == [("none", 0), ("fog", 1), ("fog", 5), ("contrast", 1), ("contrast", 5)]


def test_so_many_images_of_each_sub_category_are_asked_about():
    chosen = choose_questions(QUESTIONS, "open", 2, seed=0)
    assert Counter((row.label, row.setting) for row in chosen) == {
        ("elm wren", "open"): 2,
        ("oak wren", "open"): 2,
    }


def test_both_settings_ask_about_the_same_images():
    images = [
        {row.image_id for row in choose_questions(QUESTIONS, setting, 2, seed=0)}
        for setting in ("open", "closed")
    ]
    assert images[0] == images[1]


def test_the_choice_follows_the_seed_and_not_the_other_images():
    chosen = choose_questions(QUESTIONS, "open", 2, seed=0)
    fewer = [row for row in QUESTIONS if row in chosen or row.image_id.endswith("0.png")]
    assert {row.id for row in choose_questions(fewer, "open", 2, seed=0)} == {
        row.id for row in chosen
    }
    assert any(choose_questions(QUESTIONS, "open", 2, seed) != chosen for seed in range(1, 9))


def test_without_a_question_of_the_setting_the_other_is_named():
    with pytest.raises(ValueError, match="robustness.setting: there is no closed question"):
        choose_questions([question("open", IMAGES[0])], "closed", 2, seed=0)


def test_each_question_is_asked_about_each_copy():
    asked = {"open/x": Asked("trained", "s", "u", (IMAGES[0],), "tags")}
    copies = corrupt_asked(asked, CELLS)
    assert list(copies) == [
        "open/x#none/0",
        "open/x#fog/1",
        "open/x#fog/5",
        "open/x#contrast/1",
        "open/x#contrast/5",
    ]
    assert copies["open/x#fog/5"].images == (f"{IMAGES[0]}#fog/5",)


def test_examples_stay_as_they_are():
    asked = {"open/x": Asked("in_context", "", "u", (IMAGES[1], IMAGES[0]), "text")}
    copies = corrupt_asked(asked, [("fog", 5)])
    assert copies["open/x#fog/5"].images == (IMAGES[1], f"{IMAGES[0]}#fog/5")


def test_a_copy_is_read_as_the_damaged_image(shown):
    images, reads = shown
    copies = show_corrupted(images, IMAGES[:1], CELLS, seed=3)
    assert not reads
    expected = corrupt(images.read(IMAGES[0]), "contrast", 5, 3, IMAGES[0])
    assert copies.read(f"{IMAGES[0]}#contrast/5").tobytes() == expected.tobytes()
    assert copies.read(f"{IMAGES[0]}#none/0").tobytes() == images.read(IMAGES[0]).tobytes()
    assert copies.read(IMAGES[1]).tobytes() == images.read(IMAGES[1]).tobytes()


def test_copies_have_hashes_of_their_own_and_the_clean_one_that_of_its_file(shown):
    copies = show_corrupted(shown[0], IMAGES[:2], CELLS, seed=3).sha256
    names = [f"{image}#{cell[0]}/{cell[1]}" for image in IMAGES[:2] for cell in CELLS]
    assert len({copies[name] for name in names}) == len(names)
    assert copies[f"{IMAGES[1]}#none/0"] == copies[IMAGES[1]]


def test_a_clip_model_gets_records_of_the_copies(shown):
    asked = [question("closed", IMAGES[0])]
    records = {
        image: ImageRecord(image, "w", "bird", "elm wren", None, "0" * 64, "0" * 16, "test")
        for image in IMAGES
    }
    images = show_corrupted(shown[0], IMAGES[:1], CELLS, seed=3)
    copies = corrupt_questions(asked, CELLS)
    assert [row.id for row in copies][:2] == [f"{asked[0].id}#none/0", f"{asked[0].id}#fog/1"]
    found = copy_records(copies, records, images)
    key = f"{IMAGES[0]}#fog/5"
    assert (found[key].id, found[key].label) == (key, "elm wren")
    assert found[key].sha256 == images.sha256[key]
