from collections import Counter
from pathlib import Path

import pytest

from finer1.data_params import OfficialParams
from finer1.datasets import bird
from finer1.datasets.interface import find_folder
from finer1.reference.classes import released_classes

PART = OfficialParams(source="folder", subset=True)
WHOLE = OfficialParams(source="folder", subset=False)


def edit_line(path: Path, number: int, line: str) -> None:
    lines = path.read_text().splitlines()
    lines[number - 1] = line
    path.write_text("".join(f"{text}\n" for text in lines))


def test_real_photographs_are_listed(real_data):
    images = bird.read(real_data / "CUB_200_2011", PART).images
    assert Counter(image.official for image in images) == {"train": 240, "test": 240}
    assert len({image.label for image in images}) == 20


def test_real_names_are_those_of_the_released_lists(real_data):
    labels = {image.label for image in bird.read(real_data / "CUB_200_2011", PART).images}
    seen = [released_classes("bird")[label] for label in labels]
    assert (seen.count(True), seen.count(False)) == (12, 8)


def test_first_real_row_has_the_official_facts(real_data):
    folder = real_data / "CUB_200_2011"
    image = bird.read(folder, PART).images[0]
    # images.txt: 2831 050.Eared_Grebe/Eared_Grebe_0065_34049.jpg; flag 0 is test
    assert image.path == "050.Eared_Grebe/Eared_Grebe_0065_34049.jpg"
    assert (image.label, image.group, image.official) == ("Eared Grebe", "Grebe", "test")
    assert (image.source, image.where) == (folder / "images" / image.path, f"{folder}/images.txt:1")


def test_the_folder_is_found_from_above(drawn_birds):
    assert find_folder(drawn_birds.parent, bird, "bird") == drawn_birds


def test_a_folder_with_another_images_txt_is_not_taken(tmp_path):
    (tmp_path / "images.txt").write_text("1 a.jpg\n")
    with pytest.raises(ValueError, match=r"no train_test_split.txt, for dataset bird"):
        find_folder(tmp_path, bird, "bird")


def test_a_part_is_noted_with_the_difference(drawn_birds):
    assert bird.read(drawn_birds, PART).notes == (
        "bird is a part of the official dataset: 12 images instead of 11788, "
        "3 classes instead of 200, 6 training images instead of 5994",
    )


@pytest.mark.parametrize(
    ("raw", "label"),
    [
        ("001.Black_footed_Albatross", "Black Footed Albatross"),
        ("187.American_Three_toed_Woodpecker", "American Three Toed Woodpecker"),
        ("023.Brandt_Cormorant", "Brandt Cormorant"),
    ],
)
def test_class_names_follow_the_released_files(raw, label):
    assert bird.class_label(raw) == label


def test_fewer_images_than_official_are_refused_with_the_difference(drawn_birds):
    with pytest.raises(ValueError, match=r"12 images instead of 11788, 3 classes instead of 200"):
        bird.read(drawn_birds, WHOLE)


def test_all_missing_images_are_listed_with_their_rows(drawn_birds):
    images = sorted((drawn_birds / "images").rglob("*.jpg"))
    for number in (1, 6, 9):
        images[number].unlink()
    with pytest.raises(ValueError, match=r"images\.txt:2: .*: there is no such file") as error:
        bird.read(drawn_birds, PART)
    assert [line.split(":")[1] for line in str(error.value).splitlines()] == ["2", "7", "10"]


def test_missing_images_and_wrong_rows_are_told_together(drawn_birds):
    next((drawn_birds / "images").rglob("*.jpg")).unlink()
    edit_line(drawn_birds / "train_test_split.txt", 2, "2 2")
    edit_line(drawn_birds / "image_class_labels.txt", 5, "5 3")
    with pytest.raises(ValueError, match="txt") as error:
        bird.read(drawn_birds, PART)
    assert len(str(error.value).splitlines()) == 3


def test_swapped_label_is_named_with_file_and_row(drawn_birds):
    edit_line(drawn_birds / "image_class_labels.txt", 5, "5 3")
    with pytest.raises(ValueError, match=r"image_class_labels.txt:5: class 030.Fish_Crow, but"):
        bird.read(drawn_birds, PART)


def test_labels_shifted_by_one_are_all_listed(drawn_birds):
    path = drawn_birds / "image_class_labels.txt"
    path.write_text("".join(f"{i} {(i + 3) // 4 % 3 + 1}\n" for i in range(1, 13)))
    with pytest.raises(ValueError, match=r"image_class_labels\.txt:1:") as error:
        bird.read(drawn_birds, PART)
    assert len(str(error.value).splitlines()) == 12


def test_labels_counted_from_zero_are_named(drawn_birds):
    path = drawn_birds / "image_class_labels.txt"
    path.write_text("".join(f"{i} {(i - 1) // 4}\n" for i in range(1, 13)))
    with pytest.raises(
        ValueError, match=r"labels.txt:4: no class 0 in classes.txt\n.*:5: class 001"
    ):
        bird.read(drawn_birds, PART)


def test_class_without_images_is_named(drawn_birds):
    with (drawn_birds / "classes.txt").open("a") as file:
        file.write("4 031.Black_billed_Cuckoo\n")
    with pytest.raises(ValueError, match=r"classes.txt:4: no image is of class 031.Black_billed"):
        bird.read(drawn_birds, WHOLE)
    assert len(bird.read(drawn_birds, PART).images) == 12


@pytest.mark.parametrize(
    ("file", "row", "line", "message"),
    [
        ("images.txt", 3, "3", "images.txt:3: '3' is not 'id value'"),
        ("images.txt", 3, "2 a/b.jpg", "images.txt:3: id 2 is already in line 2"),
        ("images.txt", 3, "3 ../../x.jpg", "images.txt:3: '../../x.jpg' is not"),
        ("images.txt", 3, "3 a/b.jpg", "image_class_labels.txt:3: class 001.Black_footed"),
        ("image_class_labels.txt", 4, "99 1", "image_class_labels.txt:4: image 99 is not in"),
        ("image_class_labels.txt", 4, "99 1", "images.txt:4: image 4 is not in image_class_l"),
        ("image_class_labels.txt", 4, "4 9", "image_class_labels.txt:4: no class 9"),
        ("train_test_split.txt", 2, "2 2", "train_test_split.txt:2: '2' is neither 0 nor 1"),
        ("train_test_split.txt", 2, "1 0", "train_test_split.txt:2: id 1 is already in line 1"),
        ("classes.txt", 2, "2 Crow", "classes.txt:2: 'Crow' is not like"),
        ("classes.txt", 2, "2 029.Fish_Crow", "Fish Crow is already in line 2"),
        ("classes.txt", 2, "9 029.American_Crow", "labels.txt:5: no class 2 in classes.txt"),
    ],
)
def test_wrong_row_is_named(drawn_birds, file, row, line, message):
    edit_line(drawn_birds / file, row, line)
    with pytest.raises(ValueError, match="txt") as error:
        bird.read(drawn_birds, PART)
    assert message in str(error.value)


def test_an_image_named_twice_is_refused(drawn_birds):
    path = drawn_birds / "images.txt"
    edit_line(path, 2, f"2 {path.read_text().split()[1]}")
    with pytest.raises(ValueError, match=r"images.txt:2: .* is already in line 1"):
        bird.read(drawn_birds, PART)


def test_missing_tables_and_images_are_named(drawn_birds):
    (drawn_birds / "train_test_split.txt").unlink()
    (drawn_birds / "images").rename(drawn_birds / "pictures")
    with pytest.raises(ValueError, match=r"split.txt: the file is missing\n.*images: the folder"):
        bird.read(drawn_birds, PART)
