import shutil
from collections import Counter

import pytest

from finer1.data_params import OfficialParams
from finer1.datasets import car
from finer1.datasets.interface import find_folder
from finer1.reference.class_ids import class_names, is_car_of
from finer1.reference.classes import released_classes
from tests.finer1.datasets.mat_files import save_lists, save_struct

PART = OfficialParams(source="folder", subset=True)
WHOLE = OfficialParams(source="folder", subset=False)
NAMES = list(class_names("car"))
# Images of the official lists with their classes; the names of the others are free.
TRAIN = {"00001.jpg": 14, "a2.jpg": 3, "a3.jpg": 3, "a4.jpg": 14, "a5.jpg": 8, "a6.jpg": 8}
TEST = {"00001.jpg": 181, "b2.jpg": 3, "b3.jpg": 14}


def lay_out(root, names=NAMES, train=None, test=None):
    """Stanford Cars with a few empty image files; the rows may differ from them."""
    save_lists(root / "devkit" / "cars_meta.mat", class_names=names)
    for side, rows, file in (
        ("cars_train", TRAIN, "devkit/cars_train_annos.mat"),
        ("cars_test", TEST, "cars_test_annos_withlabels.mat"),
    ):
        (root / side).mkdir(parents=True)
        for name in rows:
            (root / side / name).touch()
        told = (train if side == "cars_train" else test) or list(rows.items())
        save_struct(root / file, [name for name, _ in told], [label for _, label in told])
    return root


@pytest.fixture
def cars(tmp_path):
    return lay_out(tmp_path / "cars")


def faults(root):
    with pytest.raises(ValueError, match="mat") as error:
        car.read(root, PART)
    return [line.removeprefix(f"{root}/") for line in str(error.value).splitlines()]


@pytest.fixture(scope="module")
def real(real_data):
    return car.read(find_folder(real_data / "stanford_cars", car, "car"), PART)


def test_real_photographs_are_read(real):
    assert Counter(image.official for image in real.images) == {"train": 240, "test": 240}
    seen = [released_classes("car")[name] for name in {image.label for image in real.images}]
    assert (seen.count(True), seen.count(False)) == (12, 8)
    assert all(image.source.is_file() for image in real.images)


def test_first_real_row_has_the_official_facts(real):
    image = real.images[0]
    assert (image.path, image.label) == ("cars_train/00041.jpg", "Audi A5 Coupe 2012")
    assert (image.category, image.group, image.official) == ("car", "Audi", "train")
    assert image.where.endswith("devkit/cars_train_annos.mat:1")


def test_the_real_names_are_the_official_file(real):
    # Only the annotations, which are cut, are unlisted; the counts are the third note.
    notes = real.notes
    files = [note.partition(":")[0].rpartition("/")[2] for note in notes[:2]]
    assert files == ["cars_train_annos.mat", "cars_test_annos_withlabels.mat"]
    assert "480 images instead of 16185" in notes[2]


def test_equal_file_names_of_the_two_sides_stay_apart(cars):
    images = {image.path: image.label for image in car.read(cars, PART).images}
    assert images["cars_train/00001.jpg"] == "Audi TTS Coupe 2012"
    assert images["cars_test/00001.jpg"] == "Suzuki Aerio Sedan 2007"


def test_folders_that_are_nested_twice_give_the_same_paths(cars):
    flat = [image.path for image in car.read(cars, PART).images]
    for side in ("cars_train", "cars_test"):
        shutil.move(cars / side, cars / "moved")
        (cars / side).mkdir()
        shutil.move(cars / "moved", cars / side / side)
    assert [image.path for image in car.read(cars, PART).images] == flat


def test_the_labelled_file_may_lie_in_the_devkit(cars):
    file = "cars_test_annos_withlabels.mat"
    shutil.move(cars / file, cars / "devkit" / file)
    assert len(car.read(cars, PART).images) == 9


def test_test_images_without_labels_are_refused_with_the_place_to_get_them(cars):
    file = cars / "cars_test_annos_withlabels.mat"
    shutil.move(file, cars / "devkit" / "cars_test_annos.mat")
    with pytest.raises(ValueError, match=r"no labels.*pytorch/vision/issues/7545.*790f75be"):
        car.read(cars, PART)


def test_a_part_is_refused_unless_it_is_asked_for(cars):
    with pytest.raises(ValueError, match=r"cars_meta.mat: not the official file") as error:
        car.read(cars, WHOLE)
    assert len(str(error.value).splitlines()) == 3


def test_every_wrong_row_is_told_at_once_with_file_and_row(tmp_path):
    known = next(i for i in range(1, 197) if is_car_of("cars_train/00001.jpg", i) is False)
    train = [
        ("00001.jpg", known),
        ("a2.jpg", 0),
        ("a3.jpg", 197),
        ("a4.jpg", 1.5),
        ("a5.jpg", 8),
        ("a5.jpg", 8),
        ("../a6.jpg", 8),
        (7, 8),
        ("a9.jpg", 8),
    ]
    test = [*TEST.items(), ("00001.jpg", 182)]
    names = [NAMES[1], NAMES[0], *NAMES[2:-1]]
    lines = faults(lay_out(tmp_path, names, train, test))
    annos, labelled = "devkit/cars_train_annos.mat", "cars_test_annos_withlabels.mat"
    assert lines == [
        f"devkit/cars_meta.mat:1: class 1 is {NAMES[1]}, officially {NAMES[0]}",
        f"devkit/cars_meta.mat:2: class 2 is {NAMES[0]}, officially {NAMES[1]}",
        f"devkit/cars_meta.mat:196: class 196 is missing, officially {NAMES[-1]}",
        f"{annos}:annotations.fname:7: '../a6.jpg' is not like '00001.jpg'",
        f"{annos}:annotations.fname:8: 7 is not like '00001.jpg'",
        f"{annos}:annotations.class:2: 0 is no whole number from 1 to 196",
        f"{annos}:annotations.class:3: 197 is no whole number from 1 to 196",
        f"{annos}:annotations.class:4: 1.5 is no whole number from 1 to 196",
        f"{annos}:1: cars_train/00001.jpg is officially not of class {known} ({NAMES[known - 1]})",
        f"{labelled}:4: cars_test/00001.jpg is officially not of class 182 ({NAMES[181]})",
        f"{annos}:6: cars_train/a5.jpg is already named in {tmp_path}/{annos}:5",
        f"{labelled}:4: cars_test/00001.jpg is already named in {tmp_path}/{labelled}:1",
        f"{annos}:9: there is no file cars_train/a9.jpg in the dataset's folder",
    ]


def test_a_copy_whose_file_names_do_not_fit_is_told_on_both_sides(cars):
    (cars / "cars_test" / "b2.jpg").rename(cars / "cars_test" / "z2.jpg")
    missing, left_over = faults(cars)
    assert missing.startswith("cars_test_annos_withlabels.mat:2: there is no file cars_test/b2.jpg")
    assert left_over.startswith("cars_test/z2.jpg: no table names this image")


def test_a_missing_folder_is_one_line(cars):
    shutil.rmtree(cars / "cars_test")
    with pytest.raises(ValueError, match=r"^\S+cars_test: the folder is missing$"):
        car.read(cars, PART)


@pytest.mark.parametrize(
    ("label", "maker"),
    [
        ("AM General Hummer SUV 2000", "AM General"),
        ("Aston Martin Virage Coupe 2012", "Aston Martin"),
        ("Land Rover LR2 SUV 2012", "Land Rover"),
        ("Rolls-Royce Ghost Sedan 2012", "Rolls-Royce"),
        ("smart fortwo Convertible 2012", "smart"),
    ],
)
def test_the_group_is_the_maker(label, maker):
    assert car.maker(label) == maker


@pytest.mark.parametrize(("source", "is_told"), [("folder", True), ("official", False)])
def test_images_from_a_folder_are_told_to_be_compared_by_name_only(cars, source, is_told):
    notes = car.read(cars, OfficialParams(source=source, subset=True)).notes
    assert any("their file names were compared" in note for note in notes) is is_told
