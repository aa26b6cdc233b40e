import shutil
from collections import Counter

import pytest

from finer1.data_params import OfficialParams
from finer1.datasets import flower
from finer1.datasets.interface import find_folder
from finer1.reference.class_ids import flower_labels
from finer1.reference.classes import released_classes
from tests.finer1.datasets.mat_files import save_lists

PART = OfficialParams(source="folder", subset=True)
WHOLE = OfficialParams(source="folder", subset=False)
LABELS = list(flower_labels())


def lay_out(root, labels=LABELS, trnid=(1, 2), valid=(3, 4), tstid=(5, 8189)):
    """Oxford Flowers with six empty image files; the tables may differ from them."""
    (root / "jpg").mkdir(parents=True)
    for number in (1, 2, 3, 4, 5, 8189):
        (root / "jpg" / f"image_{number:05}.jpg").touch()
    save_lists(root / "imagelabels.mat", labels=labels)
    save_lists(root / "setid.mat", trnid=list(trnid), valid=list(valid), tstid=list(tstid))
    return root


def faults(root, settings=PART):
    with pytest.raises(ValueError, match="mat") as error:
        flower.read(root, settings)
    return [line.removeprefix(f"{root}/") for line in str(error.value).splitlines()]


@pytest.fixture(scope="module")
def real(real_data):
    return flower.read(find_folder(real_data / "flowers-102", flower, "flower"), PART)


def test_real_photographs_are_read(real):
    sides = Counter(image.official for image in real.images)
    assert sides == {"train": 120, "validation": 120, "test": 240}
    seen = [released_classes("flower")[name] for name in {image.label for image in real.images}]
    assert (seen.count(True), seen.count(False)) == (12, 8)
    assert all(image.source.is_file() for image in real.images)


def test_first_real_row_has_the_official_facts(real):
    first = real.images[0]
    assert (first.path, first.label, first.group) == ("image_01236.jpg", "rose", "rose")
    assert first.where.endswith("setid.mat:trnid:1")


def test_only_the_cut_file_is_noted(real):
    notes = real.notes
    assert [note.partition(":")[0].rpartition("/")[2] for note in notes[:-1]] == ["setid.mat"]
    assert "120 validation images instead of 1020" in notes[-1]


def test_real_labels_are_needed_whole_without_the_setting(real_data):
    lines = faults(real_data / "flowers-102", WHOLE)
    assert [line.partition(":")[0] for line in lines] == ["setid.mat"]


def test_the_three_sides_keep_their_order(tmp_path):
    images = flower.read(lay_out(tmp_path), PART).images
    assert [(image.path[6:11], image.official) for image in images] == [
        ("00001", "train"),
        ("00002", "train"),
        ("00003", "validation"),
        ("00004", "validation"),
        ("00005", "test"),
        ("08189", "test"),
    ]
    # imagelabels.mat: the first image is of class 77, the last of class 62.
    assert (images[0].label, images[-1].label) == ("passion flower", "japanese anemone")


def test_the_word_flower_makes_no_group(tmp_path):
    assert flower.read(lay_out(tmp_path), PART).images[0].group is None


def test_every_wrong_row_is_told_at_once_with_file_and_row(tmp_path):
    labels = [78, 0, 103, *LABELS[3:]]
    root = lay_out(tmp_path, labels, (1, 1, 0), (2, 1, 8190), (5, 6, 2))
    assert faults(root) == [
        "imagelabels.mat:labels:2: 0 is no whole number from 1 to 102",
        "imagelabels.mat:labels:3: 103 is no whole number from 1 to 102",
        "imagelabels.mat:labels:1: image_00001.jpg has class 78 (lotus), officially 77",
        "setid.mat:trnid:3: 0 is no whole number from 1 to 8189",
        "setid.mat:valid:3: 8190 is no whole number from 1 to 8189",
        f"setid.mat:trnid:2: image_00001.jpg is already named in {root}/setid.mat:trnid:1",
        f"setid.mat:valid:2: image_00001.jpg is already named in {root}/setid.mat:trnid:1",
        f"setid.mat:tstid:3: image_00002.jpg is already named in {root}/setid.mat:valid:1",
        "setid.mat:tstid:2: there is no file image_00006.jpg in the dataset's folder",
    ]


def test_labels_shifted_by_one_are_all_listed(tmp_path):
    lines = faults(lay_out(tmp_path, [label - 1 for label in LABELS]))
    assert len(lines) == 8189


def test_a_label_less_is_told(tmp_path):
    assert faults(lay_out(tmp_path, LABELS[:-1])) == [
        "imagelabels.mat: labels of 8188 images instead of 8189"
    ]


def test_an_image_in_no_part_is_told(tmp_path):
    with pytest.raises(ValueError, match=r"image_08189.jpg: no table names this image"):
        flower.read(lay_out(tmp_path, tstid=(5,)), PART)


def test_missing_images_are_one_line(tmp_path):
    root = lay_out(tmp_path)
    shutil.rmtree(root / "jpg")
    with pytest.raises(ValueError, match=r"^\S+jpg: the folder is missing$"):
        flower.read(root, PART)
