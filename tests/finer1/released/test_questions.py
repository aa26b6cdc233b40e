import json
from collections import Counter

import pytest

from finer1.reference.classes import released_classes
from finer1.released.joining import file_key
from finer1.released.questions import released_questions

CROW, FLYCATCHER, GREBE = "American Crow", "Acadian Flycatcher", "Eared Grebe"  # 1st, 3rd seen
BIRDS = ["American Crow", "Fish Crow", "Common Raven", "Eared Grebe"]


def bird(file, truth=CROW, options=BIRDS):
    return (f"bird_200/images/029.{truth}/{file}", options, truth)


def closed(found):
    return [item for item in found.questions if item.setting == "closed"]


def test_row_gives_a_closed_and_an_open_question_in_its_own_words(write_questions, place, settings):
    folder = write_questions("bird", seen=[bird("a.jpg")])
    found = released_questions(folder, [place("bird/029.A/a.jpg", CROW)], settings, 0)
    first, second = found.questions
    assert (first.id, second.id) == ("closed/bird/029.A/a.jpg", "open/bird/029.A/a.jpg")
    assert first.text == second.text == "What kind of bird is this?"
    assert (first.source, second.source, second.options) == ("released", "open", ())
    assert sorted(first.options) == sorted(BIRDS)
    assert first.seen


def test_stored_order_has_the_truth_first(write_questions, place, settings):
    folder = write_questions("bird", seen=[bird("a.jpg")])
    stored = settings.model_copy(update={"order": "stored"})
    found = released_questions(folder, [place("bird/029.A/a.jpg", CROW)], stored, 0)
    assert found.questions[0].options == tuple(BIRDS)


def test_shuffled_order_is_a_matter_of_the_seed_alone(write_questions, place, settings):
    folder = write_questions("bird", seen=[bird(f"{i}.jpg") for i in range(40)])
    splits = [place(f"bird/029.A/{i}.jpg", CROW) for i in range(40)]
    orders = [
        [item.options for item in closed(released_questions(folder, splits, settings, seed))]
        for seed in (0, 0, 1)
    ]
    assert orders[0] == orders[1] != orders[2]
    assert len({options.index(CROW) for options in orders[0]}) == 4


def test_what_does_not_join_is_told(write_questions, place, settings):
    folder = write_questions("bird", seen=[bird("a.jpg"), bird("b.jpg"), bird("c.jpg")])
    splits = [
        place("bird/029.A/a.jpg", CROW),
        place("bird/029.A/c.jpg", CROW, part="validation"),
        place("bird/029.A/d.jpg", CROW),
    ]
    found = released_questions(folder, splits, settings, 0)
    assert found.unjoined == ["bird_200/images/029.American Crow/b.jpg"]
    assert found.elsewhere == ["bird_200/images/029.American Crow/c.jpg"]
    assert found.unasked == ["bird/029.A/d.jpg"]
    assert [sentence.split(":")[0] for sentence in found.sentences()] == [
        "1 released questions are about images that are not at hand",
        "1 released questions are about images of another part than test",
        "1 test images have no released question",
    ]


def test_file_name_of_two_test_images_is_told(write_questions, place, settings):
    folder = write_questions("bird", seen=[bird("a.jpg"), bird("b.jpg")])
    splits = [place(f"bird/{name}.jpg", CROW) for name in ("x/a", "y/a", "x/b")]
    found = released_questions(folder, splits, settings, 0)
    assert {item.image_id for item in found.questions} == {"bird/x/b.jpg"}
    assert (len(found.ambiguous), found.unjoined) == (1, [])
    assert found.sentences()[0].startswith("1 released questions are about a file name of several")


def test_car_number_means_the_test_image(write_questions, place, settings):
    hummer, geo = "AM General Hummer SUV 2000", "Geo Metro Convertible 1993"
    row = ("stanford-cars/cars_test/00001.jpg", [hummer, geo], hummer)
    seen = released_classes("car")[hummer]
    folder = write_questions("car", **{"seen" if seen else "unseen": [row]})
    splits = [
        place("car/cars_train/00001.jpg", geo, part="tapo"),
        place("car/cars_test/00001.jpg", hummer),
    ]
    found = released_questions(folder, splits, settings, 0)
    assert {item.image_id for item in found.questions} == {"car/cars_test/00001.jpg"}
    # Without its test image the number means no image, and the training image is no leak.
    with pytest.raises(ValueError, match="1 released questions are about images that are not at"):
        released_questions(folder, splits[:1], settings, 0)


def test_wrong_truth_is_named_with_its_line(write_questions, place, settings):
    folder = write_questions("bird", seen=[bird("a.jpg"), bird("b.jpg")])
    splits = [place("bird/x/a.jpg", CROW), place("bird/x/b.jpg", GREBE)]
    with pytest.raises(ValueError, match=r"bird_seen.jsonl:2: the truth is American Crow, but bir"):
        released_questions(folder, splits, settings, 0)


def test_other_split_is_refused_in_one_sentence(write_questions, place, settings):
    folder = write_questions("bird", seen=[bird("a.jpg")])
    splits = [place("bird/x/a.jpg", CROW, seen=False)]
    with pytest.raises(ValueError, match=r"in this split \(1 of 1 .*; set split.classes to rel"):
        released_questions(folder, splits, settings, 0)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (("birds/a.jpg", BIRDS, CROW), "'birds/a.jpg' lies in none of the released folders"),
        (("bird_200", BIRDS, CROW), "'bird_200' lies in none"),
        (("flower102/jpg/a.jpg", BIRDS, CROW), "is an image of flower, not of bird"),
        (("bird_200/images/x/a.jpg", BIRDS, CROW), "is already in line 1"),
        (bird("b.jpg", truth=FLYCATCHER), "the truth, Acadian Flycatcher, is not once among"),
        (bird("b.jpg", options=[CROW, "Rook", "Rook", "Jay"]), "an option is there twice"),
    ],
)
def test_wrong_row_is_named_with_its_line(row, said, write_questions, place, settings):
    folder = write_questions("bird", seen=[bird("a.jpg"), row])
    with pytest.raises(ValueError, match=f"bird_seen.jsonl:2: .*{said}"):
        released_questions(folder, [place("bird/x/a.jpg", CROW)], settings, 0)


def test_broken_line_is_named_with_its_number(write_questions, place, settings):
    folder = write_questions("bird", seen=[bird("a.jpg")])
    path = folder / "bird_seen.jsonl"
    path.write_text(path.read_text() + '{"image_path": "bird_200/')
    with pytest.raises(ValueError, match="bird_seen.jsonl:2: "):
        released_questions(folder, [place("bird/x/a.jpg", CROW)], settings, 0)


def test_many_wrong_rows_are_counted(write_questions, place, settings):
    folder = write_questions("bird", seen=[("x/a.jpg", BIRDS, CROW)] * 25)
    with pytest.raises(ValueError, match=r"bird_seen.jsonl:20: (.|\n)*and 5 more rows like these$"):
        released_questions(folder, [place("bird/x/a.jpg", CROW)], settings, 0)


def test_absent_file_says_how_to_get_it(tmp_path, place, settings):
    with pytest.raises(ValueError, match="bird_seen.jsonl is missing; `finer1 data released`"):
        released_questions(tmp_path, [place("bird/x/a.jpg", CROW)], settings, 0)


def test_dataset_without_released_questions_is_named(tmp_path, record, place, settings):
    row = place("bird/x/a.jpg", CROW)
    other = type(row)(image=record("world/a.png", "x", "test"), seen=True, part="test")
    with pytest.raises(ValueError, match="no released questions for the dataset world"):
        released_questions(tmp_path, [other], settings, 0)


def test_validation_images_have_no_released_questions(tmp_path, place, settings):
    validation = settings.model_copy(update={"part": "validation"})
    with pytest.raises(ValueError, match="set it to test"):
        released_questions(tmp_path, [place("bird/x/a.jpg", CROW)], validation, 0)


@pytest.mark.parametrize(
    ("dataset", "seen", "unseen"),
    [("aircraft", 2002, 1331), ("car", 4811, 3230), ("pet", 2176, 1493)],
)
def test_all_released_rows_join_their_own_images(dataset, seen, unseen, reference, place, settings):
    splits = []
    for side in ("seen", "unseen"):
        for line in (reference / f"{dataset}_{side}.jsonl").read_text().splitlines():
            item = json.loads(line)
            name = file_key(item["image_path"])[1]
            splits.append(place(f"{dataset}/some/folder/{name}", item["ground_truth"]))
    found = released_questions(reference, splits, settings, 0)
    assert Counter(item.seen for item in closed(found)) == {True: seen, False: unseen}
    assert found.sentences() == []
    places = Counter(item.options.index(item.label) for item in closed(found))
    # Uniform: 4 standard deviations of a count with p = 1/4.
    total = seen + unseen
    assert all(abs(places[i] - total / 4) < 4 * (total * 3 / 16) ** 0.5 for i in range(4))


def test_real_pets_with_the_official_split_join(reference, real_rows, settings):
    # 12 test images of each of Abyssinian, Bengal, American Bulldog; the other 15 breeds have a
    # hold-out of 3 training images each, 45 in all.
    found = released_questions(reference, real_rows("pet"), settings, 0)
    assert Counter(item.label for item in closed(found)) == dict.fromkeys(
        ("Abyssinian", "Bengal", "American Bulldog"), 12
    )
    assert (len(found.unasked), len(found.unjoined), found.elsewhere) == (45, 3669 - 36, [])


def test_renamed_car_hold_out_joins_nothing_and_is_told(reference, real_rows, settings):
    rows = real_rows("car") + real_rows("pet")
    found = released_questions(reference, rows, settings, 0)
    assert {item.category for item in found.questions} == {"pet"}
    assert len([name for name in found.unasked if name.startswith("car/cars_test/tr_")]) == 240
    assert len(found.unjoined) == 8041 + 3669 - 36
