import json
from collections import Counter

import pytest

from finer1.datasets.dog import class_label
from finer1.reference.class_ids import class_names, flower_labels, is_car_of
from finer1.reference.classes import released_classes


@pytest.mark.parametrize("dataset", ["car", "flower"])
def test_names_are_those_of_the_released_lists(dataset):
    assert sorted(class_names(dataset)) == sorted(released_classes(dataset))


def test_dog_folders_give_the_names_of_the_released_lists():
    assert sorted(map(class_label, class_names("dog"))) == sorted(released_classes("dog"))


def test_flower_labels_cover_all_images_and_classes():
    counts = Counter(flower_labels())
    # The dataset's page: 8,189 images, between 40 and 258 of a class.
    assert (len(flower_labels()), len(counts)) == (8189, 102)
    assert (min(counts.values()), max(counts.values())) == (40, 258)


def test_every_released_car_question_passes_its_check(repository):
    folder = repository.parent / "shared" / "reference"
    if not folder.is_dir():
        pytest.skip(f"no released question files at {folder}")
    ids = {name: place for place, name in enumerate(class_names("car"), 1)}
    rows = [
        json.loads(line)
        for split in ("seen", "unseen")
        for line in (folder / f"car_{split}.jsonl").read_text().splitlines()
    ]
    paths = {row["image_path"].partition("/")[2]: ids[row["ground_truth"]] for row in rows}
    assert len(paths) == 8041
    assert all(is_car_of(path, class_id) for path, class_id in paths.items())


def test_wrong_classes_of_a_car_are_noticed():
    # 00001.jpg of the training images is class 14; a two-digit check passes 1 wrong class in 256.
    passing = [i for i in range(1, 197) if is_car_of("cars_train/00001.jpg", i)]
    assert 14 in passing
    assert len(passing) <= 4


def test_a_foreign_file_name_has_no_check():
    assert is_car_of("cars_test/tr_00232.jpg", 84) is None
