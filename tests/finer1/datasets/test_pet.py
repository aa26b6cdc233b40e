import json
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from finer1.data_params import OfficialParams
from finer1.datasets import pet
from finer1.datasets.interface import find_folder
from finer1.reference.classes import released_classes

PART = OfficialParams(source="folder", subset=True)
WHOLE = OfficialParams(source="folder", subset=False)

# Breed -> class id, species (1 cat, 2 dog) and breed id of the official list.
BREEDS = {
    "Abyssinian": "1 1 1",
    "american_bulldog": "2 2 1",
    "american_pit_bull_terrier": "3 2 2",
    "basset_hound": "4 2 3",
}


@pytest.fixture
def drawn_pets(tmp_path):
    """Four breeds of three images each, two of them for training, and the strays of the archive."""
    sides = {"trainval": [], "test": []}
    (tmp_path / "pets" / "images").mkdir(parents=True)
    (tmp_path / "pets" / "annotations").mkdir()
    for breed, values in BREEDS.items():
        for number in (1, 20, 3):
            Image.new("RGB", (9, 9)).save(tmp_path / "pets" / "images" / f"{breed}_{number}.jpg")
            sides["test" if number == 3 else "trainval"].append(f"{breed}_{number} {values}")
    (tmp_path / "pets" / "images" / "Abyssinian_100.mat").write_bytes(b"MATLAB 5.0")
    (tmp_path / "pets" / "images" / "pug_5.jpg").write_bytes(b"in no list")
    header = ["#Image CLASS-ID SPECIES BREED ID", "#ID: 1:37 Class ids"]
    sides["list"] = [*header, *sides["trainval"], *sides["test"]]
    for name, lines in sides.items():
        file = tmp_path / "pets" / "annotations" / f"{name}.txt"
        file.write_text("".join(f"{line}\n" for line in lines))
    return tmp_path / "pets"


def edit(folder: Path, name: str, old: str, new: str) -> None:
    """Change a row of list.txt and of the named file, as a consistent error would."""
    for file in {"list", name}:
        path = folder / "annotations" / f"{file}.txt"
        text = path.read_text()
        assert file == "list" or old in text
        path.write_text(text.replace(old, new))


def test_real_photographs_are_listed(real_data):
    images = pet.read(find_folder(real_data, pet, "pet"), PART).images
    assert Counter(image.official for image in images) == {"train": 141, "test": 81}
    assert len({image.label for image in images}) == 18
    assert Counter(image.group for image in images) == {"cat": 138, "dog": 84}


def test_real_names_are_those_of_the_released_lists(real_data):
    labels = {image.label for image in pet.read(real_data / "oxford-iiit-pet", PART).images}
    seen = [released_classes("pet")[label] for label in labels]
    assert (seen.count(True), seen.count(False)) == (11, 7)


def test_names_are_those_of_every_released_question(repository):
    folder = repository.parent / "shared" / "reference"
    if not folder.is_dir():
        pytest.skip(f"no released question files at {folder}")
    lines = [*(folder / "pet_seen.jsonl").open(), *(folder / "pet_unseen.jsonl").open()]
    rows = [json.loads(line) for line in lines]
    wrong = [r for r in rows if pet.class_label(Path(r["image_path"]).stem) != r["ground_truth"]]
    assert (len(rows), wrong) == (3669, [])


def test_twelve_breeds_are_cats():
    groups = Counter(map(pet.class_group, released_classes("pet")))
    assert groups == {"cat": 12, "dog": 25}


def test_rows_become_images_and_strays_do_not(drawn_pets):
    images = pet.read(drawn_pets, PART).images
    assert len(images) == 12
    first = images[2]  # trainval.txt: Abyssinian_1, Abyssinian_20, american_bulldog_1
    assert (first.path, first.label) == ("american_bulldog_1.jpg", "American Bulldog")
    assert (first.category, first.group, first.official) == ("pet", "dog", "train")
    assert first.where == f"{drawn_pets}/annotations/trainval.txt:3"


def test_fewer_images_than_official_are_refused_with_the_difference(drawn_pets):
    with pytest.raises(
        ValueError, match=r"12 images instead of 7349, 4 classes instead of 37, 8 t"
    ):
        pet.read(drawn_pets, WHOLE)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("bulldog_1 2 2 1", "bulldog_1 3 2 2", "trainval.txt:3: american_bulldog_1: class 3, but"),
        ("bulldog_1 2 2 1", "bulldog_1 1 2 1", "class 1, but American Bulldog has class 2"),
        ("bulldog_1 2 2 1", "bulldog_1 38 2 1", "class 38, but American Bulldog has class 2"),
        ("bulldog_1 2 2 1", "bulldog_1 2 1 1", "species 1, but American Bulldog has species 2"),
        ("bulldog_1 2 2 1", "bulldog_1 2 2 9", "breed 9, but American Bulldog has breed 1"),
        (
            "bulldog_1 2 2 1",
            "bulldog_1 2 2",
            "trainval.txt:3: 'american_bulldog_1 2 2' is not 'name",
        ),
        ("american_bulldog_1 2 2 1", "american_bulldog_1", "3: 'american_bulldog_1' is not 'id v"),
        ("american_bulldog_1 ", "american_buldog_1 ", "no breed American Buldog in the dataset"),
        ("american_bulldog_1 ", "../american_bulldog_1 ", "is not <Breed>_<number>"),
        ("american_bulldog_1 ", "american_bulldog_2 ", "3: there is no images/american_bulldog_2"),
        ("american_bulldog_1 ", "american_bulldog_20 ", "id american_bulldog_20 is already in l"),
    ],
)
def test_wrong_row_is_named(drawn_pets, old, new, message):
    edit(drawn_pets, "trainval", old, new)
    with pytest.raises(ValueError, match="txt") as error:
        pet.read(drawn_pets, PART)
    assert message in str(error.value)


def test_labels_counted_from_zero_are_named_in_every_row(drawn_pets):
    for name in ("trainval", "test"):
        for values in BREEDS.values():
            number, rest = values.split(" ", 1)
            edit(drawn_pets, name, f" {values}", f" {int(number) - 1} {rest} ")
    with pytest.raises(ValueError, match=r"trainval.txt:8: .* class 3, but Basset Hound") as error:
        pet.read(drawn_pets, PART)
    assert len(str(error.value).splitlines()) == 24  # list.txt has each row a second time


def test_image_in_both_lists_is_refused(drawn_pets):
    with (drawn_pets / "annotations" / "test.txt").open("a") as file:
        file.write("Abyssinian_20 1 1 1\n")
    with pytest.raises(
        ValueError, match=r"test.txt:5: Abyssinian_20 is already in .*trainval.txt:2"
    ):
        pet.read(drawn_pets, PART)


def test_row_that_differs_from_the_whole_list_is_refused(drawn_pets):
    path = drawn_pets / "annotations" / "list.txt"
    path.write_text(path.read_text().replace("Abyssinian_20 1 1 1", "Abyssinian_20 1 1 2"))
    with pytest.raises(
        ValueError, match=r"trainval.txt:2: Abyssinian_20 is 1 1 1, but 1 1 2 in .*:4"
    ):
        pet.read(drawn_pets, PART)


def test_rows_that_only_one_list_has_are_named(drawn_pets):
    path = drawn_pets / "annotations" / "test.txt"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
    with pytest.raises(
        ValueError, match=r"list.txt:11: image Abyssinian_3 is not in trainval.txt or"
    ):
        pet.read(drawn_pets, PART)


def test_missing_lists_are_named(drawn_pets):
    (drawn_pets / "annotations" / "test.txt").unlink()
    with pytest.raises(ValueError, match=r"annotations/test.txt: the file is missing"):
        pet.read(drawn_pets, PART)
