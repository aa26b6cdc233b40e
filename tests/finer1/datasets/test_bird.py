from collections import Counter
from pathlib import Path

import pytest

from finer1.datasets import bird
from finer1.datasets.released import released_classes
from finer1.params import load_params


@pytest.fixture
def settings(repository):
    download = load_params(repository / "params.yaml").download
    return download.model_copy(update={"dataset": "bird", "subset": True})


def edit_line(path: Path, number: int, line: str) -> None:
    lines = path.read_text().splitlines()
    lines[number - 1] = line
    path.write_text("".join(f"{text}\n" for text in lines))


def test_real_photographs_are_read(real_data, settings):
    records = [record for record, _ in bird.read(real_data / "CUB_200_2011", settings)]
    assert len(records) == 480
    assert Counter(record.official for record in records) == {"train": 240, "test": 240}
    assert len({record.label for record in records}) == 20


def test_real_names_are_those_of_the_released_lists(real_data, settings):
    labels = {record.label for record, _ in bird.read(real_data, settings)}
    seen = [released_classes("bird")[label] for label in labels]
    assert (seen.count(True), seen.count(False)) == (12, 8)


def test_first_real_row_has_the_official_facts(real_data, settings):
    record, _ = next(iter(bird.read(real_data, settings)))
    # images.txt: 2831 050.Eared_Grebe/Eared_Grebe_0065_34049.jpg; flag 0 is test
    assert record.member == "050.Eared_Grebe/Eared_Grebe_0065_34049.jpg"
    assert (record.label, record.group, record.official) == ("Eared Grebe", "Grebe", "test")


def test_folder_and_its_parent_give_the_same_rows(drawn_birds, settings):
    assert list(bird.read(drawn_birds, settings)) == list(bird.read(drawn_birds.parent, settings))


def test_content_is_the_file_unchanged(drawn_birds, settings):
    for record, content in bird.read(drawn_birds, settings):
        assert content == (drawn_birds / "images" / record.member).read_bytes()


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


def test_fewer_images_than_official_are_refused_with_the_difference(drawn_birds, settings):
    whole = settings.model_copy(update={"subset": False})
    with pytest.raises(ValueError, match=r"12 images instead of 11788, 3 classes instead of 200"):
        list(bird.read(drawn_birds, whole))


def test_all_broken_images_are_listed_with_their_rows(drawn_birds, settings):
    images = sorted((drawn_birds / "images").rglob("*.jpg"))
    images[1].write_bytes(images[1].read_bytes()[:-40])
    images[6].write_bytes(b"<html>moved</html>")
    images[9].unlink()
    with pytest.raises(ValueError, match=r"images\.txt") as error:
        list(bird.read(drawn_birds, settings))
    lines = str(error.value).splitlines()
    assert [line.split(":")[1] for line in lines] == ["2", "7", "10"]


def test_an_image_that_may_not_be_read_is_listed_with_its_row(drawn_birds, settings, monkeypatch):
    images = sorted((drawn_birds / "images").rglob("*.jpg"))
    read = Path.read_bytes

    def refuse(path):
        if path == images[4]:
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    # The tests may run as root, who may read everything.
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(ValueError, match=r"images\.txt:5: .*Permission denied"):
        list(bird.read(drawn_birds, settings))


def test_swapped_label_is_named_with_file_and_row(drawn_birds, settings):
    edit_line(drawn_birds / "image_class_labels.txt", 5, "5 3")
    with pytest.raises(ValueError, match=r"image_class_labels.txt:5: class 030.Fish_Crow, but"):
        list(bird.read(drawn_birds, settings))


def test_labels_shifted_by_one_are_all_listed(drawn_birds, settings):
    path = drawn_birds / "image_class_labels.txt"
    path.write_text("".join(f"{i} {(i + 3) // 4 % 3 + 1}\n" for i in range(1, 13)))
    with pytest.raises(ValueError, match=r"image_class_labels\.txt:1:") as error:
        list(bird.read(drawn_birds, settings))
    assert len(str(error.value).splitlines()) == 12


@pytest.mark.parametrize(
    ("file", "row", "line", "message"),
    [
        ("images.txt", 3, "3", "images.txt:3: '3' is not 'id value'"),
        ("images.txt", 3, "2 a/b.jpg", "images.txt:3: id 2 is already in line 2"),
        ("images.txt", 3, "3 ../../x.jpg", "images.txt:3: '../../x.jpg' is not"),
        ("image_class_labels.txt", 4, "99 1", "image_class_labels.txt:4: image 99 is not in"),
        ("image_class_labels.txt", 4, "4 9", "image_class_labels.txt:4: no class 9"),
        ("train_test_split.txt", 2, "2 2", "train_test_split.txt:2: '2' is neither 0 nor 1"),
        ("classes.txt", 2, "2 Crow", "classes.txt:2: 'Crow' is not like"),
        ("classes.txt", 2, "2 029.Fish_Crow", "Fish Crow is already in line 2"),
    ],
)
def test_wrong_row_is_named(drawn_birds, settings, file, row, line, message):
    edit_line(drawn_birds / file, row, line)
    with pytest.raises(ValueError, match="txt") as error:
        list(bird.read(drawn_birds, settings))
    assert message in str(error.value)


def test_missing_table_is_named(drawn_birds, settings):
    (drawn_birds / "train_test_split.txt").unlink()
    with pytest.raises(ValueError, match=r"train_test_split.txt: the file is missing"):
        list(bird.read(drawn_birds, settings))


def test_folder_of_something_else_is_refused(tmp_path, settings):
    with pytest.raises(ValueError, match=r"no images.txt here"):
        list(bird.read(tmp_path, settings))
