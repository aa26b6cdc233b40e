from collections import Counter

import pytest

from finer1.data_params import OfficialParams
from finer1.datasets import dog
from finer1.datasets.interface import find_folder
from finer1.reference.class_ids import class_names
from finer1.reference.classes import released_classes
from tests.finer1.datasets.mat_files import save_lists

PART = OfficialParams(source="folder", subset=True)
WHOLE = OfficialParams(source="folder", subset=False)
CHIHUAHUA, SPANIEL, MALTESE = class_names("dog")[:3]  # ids 1, 2, 3


def image(folder, number):
    return f"{folder}/{folder.partition('-')[0]}_{number}.jpg"


TRAIN = {image(CHIHUAHUA, n): 1 for n in (10, 11)} | {image(SPANIEL, n): 2 for n in (20, 21)}
TEST = {image(CHIHUAHUA, 12): 1, image(MALTESE, 30): 3}


def lay_out(root, train=TRAIN, test=TEST, every=None):
    """Stanford Dogs with six empty image files; the lists may differ from them."""
    for path in (*TRAIN, *TEST):
        (root / "Images" / path).parent.mkdir(parents=True, exist_ok=True)
        (root / "Images" / path).touch()
    for name, rows in (("train", train), ("test", test), ("file", every)):
        if rows is not None:
            pairs = list(rows.items() if isinstance(rows, dict) else rows)
            files, labels = [path for path, _ in pairs], [label for _, label in pairs]
            save_lists(root / f"{name}_list.mat", file_list=files, labels=labels)
    return root


def faults(root, settings=PART):
    with pytest.raises(ValueError, match="mat") as error:
        dog.read(root, settings)
    return [line.removeprefix(f"{root}/") for line in str(error.value).splitlines()]


@pytest.fixture(scope="module")
def real(real_data):
    return dog.read(find_folder(real_data / "stanford_dogs", dog, "dog"), PART)


def test_real_photographs_are_read(real):
    assert Counter(image.official for image in real.images) == {"train": 240, "test": 240}
    seen = [released_classes("dog")[name] for name in {image.label for image in real.images}]
    assert (seen.count(True), seen.count(False)) == (12, 8)
    assert all(image.source.is_file() for image in real.images)


def test_first_real_row_has_the_official_facts(real):
    first = real.images[0]
    assert first.path == "n02093754-Border_terrier/n02093754_1102.jpg"
    assert (first.label, first.group, first.official) == ("Border Terrier", "Terrier", "train")
    assert first.where.endswith("train_list.mat:1")


def test_notes_name_the_unlisted_files_and_the_counts(real):
    notes = real.notes
    files = [note.partition(":")[0].rpartition("/")[2] for note in notes[:3]]
    assert files == ["train_list.mat", "test_list.mat", "file_list.mat"]
    assert notes[3] == (
        "dog is a part of the official dataset: 480 images instead of 20580, 20 classes instead "
        "of 120, 240 training images instead of 12000, 240 test images instead of 8580"
    )


@pytest.mark.parametrize(
    ("folder", "label"),
    [
        ("n02088466-bloodhound", "Bloodhound"),
        ("n02089078-black-and-tan_coonhound", "Black And Tan Coonhound"),
        ("n02086240-Shih-Tzu", "Shih Tzu"),
        ("n02108000-EntleBucher", "Entlebucher"),
    ],
)
def test_class_names_follow_the_released_files(folder, label):
    assert dog.class_label(folder) == label


def test_the_group_is_a_last_word_that_breeds_share(tmp_path):
    groups = {image.label: image.group for image in dog.read(lay_out(tmp_path), PART).images}
    # Other spaniels are among the 120 breeds; "Dog" says nothing of a dog.
    assert groups == {"Chihuahua": None, "Japanese Spaniel": "Spaniel", "Maltese Dog": None}


def test_lists_that_are_not_the_official_ones_are_refused(tmp_path):
    lines = faults(lay_out(tmp_path), WHOLE)
    assert [line.partition(":")[0] for line in lines] == ["train_list.mat", "test_list.mat"]


def test_every_wrong_row_is_told_at_once_with_file_and_row(tmp_path):
    train = [
        (image(CHIHUAHUA, 10), 1),
        (image(CHIHUAHUA, 11), 0),
        (image(SPANIEL, 20), 121),
        (image(SPANIEL, 21), 1),
        (f"{SPANIEL}/n02085620_10.jpg", 2),
        (image(CHIHUAHUA, 10), 1),
        (image(SPANIEL, 99), 2),
        ("../../etc/passwd", 2),
    ]
    test = [*TEST.items(), (image(CHIHUAHUA, 10), 1)]
    assert faults(lay_out(tmp_path, train, test)) == [
        "train_list.mat:file_list:8: '../../etc/passwd' is not like "
        "'n02085620-Chihuahua/n02085620_5927.jpg'",
        "train_list.mat:labels:2: 0 is no whole number from 1 to 120",
        "train_list.mat:labels:3: 121 is no whole number from 1 to 120",
        f"train_list.mat:4: {image(SPANIEL, 21)} has class 1, which is {CHIHUAHUA}",
        f"train_list.mat:5: {SPANIEL}/n02085620_10.jpg lies in the folder of another class",
        f"train_list.mat:6: {image(CHIHUAHUA, 10)} is already named in {tmp_path}/train_list.mat:1",
        f"test_list.mat:3: {image(CHIHUAHUA, 10)} is already named in {tmp_path}/train_list.mat:1",
        f"train_list.mat:5: there is no file {SPANIEL}/n02085620_10.jpg in the dataset's folder",
        f"train_list.mat:7: there is no file {image(SPANIEL, 99)} in the dataset's folder",
    ]


def test_labels_shifted_by_one_are_all_listed(tmp_path):
    shifted = {path: label + 1 for path, label in TRAIN.items()}
    lines = faults(lay_out(tmp_path, shifted))
    assert [line.partition(": ")[0] for line in lines] == [
        f"train_list.mat:{i}" for i in (1, 2, 3, 4)
    ]


def test_the_whole_list_must_name_the_same_images(tmp_path):
    every = dict(TRAIN) | {image(CHIHUAHUA, 12): 1, image(MALTESE, 77): 3}
    lines = faults(lay_out(tmp_path, every=every))
    assert (
        lines[0] == f"file_list.mat:6: {image(MALTESE, 77)} is in neither train_list nor test_list"
    )
    assert lines[1] == f"test_list.mat:2: {image(MALTESE, 30)} is not in file_list.mat"


def test_an_image_that_no_list_names_is_told(tmp_path):
    root = lay_out(tmp_path)
    (root / "Images" / image(SPANIEL, 50)).touch()
    (root / "Images" / ".DS_Store").touch()
    with pytest.raises(ValueError, match=r"n02085782_50.jpg: no table names this image") as error:
        dog.read(root, PART)
    assert len(str(error.value).splitlines()) == 1


def test_a_missing_list_is_named(tmp_path):
    root = lay_out(tmp_path)
    (root / "test_list.mat").unlink()
    assert faults(root) == ["test_list.mat: the file is missing"]
