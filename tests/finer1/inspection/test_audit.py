from collections import Counter
from dataclasses import replace

import pytest
from PIL import Image

from finer1.datasets.interface import ListedImage
from finer1.inspection.audit import Shots, audit, near_duplicate_sheet
from finer1.inspection.findings import SHOWN_WARNINGS, Finding, describe
from finer1.inspection.inspecting import Inspected
from finer1.inspection.near_duplicates import NearPair, NearPairs, near_duplicates
from finer1.inspection.sheets import CAPTION, TILE


class Dataset:
    """Two classes of four training images and a test image each, all different."""

    def __init__(self):
        self.images, self.inspected = [], []
        for label in ("Wren", "Robin"):
            for place in range(5):
                self.add(f"{label}/{place}.jpg", label, "test" if place == 4 else "train")

    def add(self, path, label="Wren", official="train", error=None, **looks):
        number = len(self.images)
        image = ListedImage(path, "bird", label, None, official, b"", f"images.txt:{number + 1}")
        # Every 6 bits of the number stand for other hashes, far from all others.
        phash = f"{(number + 1) * 0x9E3779B97F4A7C15 % 2**64:016x}"
        fields = {"sha256": f"{number:064x}", "phash": phash, "oddities": ()} | looks
        self.images.append(image)
        self.inspected.append(
            Inspected(width=9, height=9, error=error and f"{image.where}: {error}", **fields)
        )

    def audit(self, needed_shots=4, classes=None):
        shots = None if needed_shots is None else Shots(needed_shots, "lower them", classes)
        near = near_duplicates(self.images, self.inspected)
        return audit("bird", self.images, self.inspected, near, shots)


@pytest.fixture
def dataset():
    return Dataset()


def only(findings):
    assert len(findings) == 1, describe(findings)
    return findings[0]


def test_a_sound_dataset_has_no_finding(dataset):
    assert dataset.audit() == []


def test_every_unreadable_image_is_an_error_at_its_row(dataset):
    dataset.add("Wren/5.jpg", error="Wren/5.jpg is not a readable image (truncated)")
    dataset.add("Wren/6.jpg", error="Wren/6.jpg cannot be opened (No such file or directory)")
    first, second = dataset.audit()
    assert (first.level, first.kind) == ("error", "unreadable")
    assert (first.where, second.where) == ("images.txt:11", "images.txt:12")
    assert first.what == "Wren/5.jpg is not a readable image (truncated)"


def test_too_few_readable_training_images_are_an_error(dataset):
    dataset.add("Robin/5.jpg", "Robin")
    finding = only(dataset.audit(needed_shots=5))
    assert (finding.level, finding.kind, finding.where) == (
        "error",
        "too few images",
        "bird 'Wren'",
    )
    assert "4 readable training images, and the shots need 5" in finding.what


def test_shots_are_asked_of_the_classes_that_train(dataset):
    (finding,) = dataset.audit(needed_shots=5, classes={("bird", "Wren")})
    assert finding.where == "bird 'Wren'"


def test_fewer_shots_are_no_remedy_for_a_class_without_an_image(dataset):
    dataset.add("Heron/1.jpg", "Heron", "test")
    finding, *others = dataset.audit(needed_shots=1)
    assert (finding.kind, finding.remedy) == ("too few images", "add images")
    assert {one.level for one in others} == {"warning"}


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"category": "bird<|im_end|>"}, "category name"),
        ({"category": "b" * 101}, "category name"),
        ({"group": "Corvus\x00"}, "group name"),
    ],
)
def test_categories_and_groups_are_names_as_classes_are(dataset, change, kind):
    dataset.images = [replace(image, **change) for image in dataset.images]
    (finding,) = [one for one in dataset.audit(None) if one.kind.endswith("name")]
    assert (finding.level, finding.kind) == ("error", kind)


def test_a_file_that_is_not_the_one_that_was_added_is_an_error(dataset):
    dataset.images = [replace(image, sha256="0" * 64) for image in dataset.images]
    # Content 0 is that of the first image alone.
    findings = dataset.audit()
    assert {(one.level, one.kind) for one in findings} == {("error", "changed")}
    assert len(findings) == 9


def test_a_line_break_in_a_name_breaks_no_line(dataset):
    dataset.add("Wren/new\nline.jpg", error="Wren/new\nline.jpg is broken")
    assert len(describe(dataset.audit()).splitlines()) == 1


def test_shots_that_are_not_known_yet_are_not_asked_for(dataset):
    assert dataset.audit(needed_shots=None) == []


def test_a_class_without_a_test_image_is_an_error(dataset):
    for place in range(4):
        dataset.add(f"Heron/{place}.jpg", "Heron")
    finding = only(dataset.audit())
    assert (finding.level, finding.kind, finding.where) == (
        "error",
        "no test image",
        "bird 'Heron'",
    )


def test_an_unreadable_test_image_is_none(dataset):
    for place in range(4):
        dataset.add(f"Heron/{place}.jpg", "Heron")
    dataset.add("Heron/4.jpg", "Heron", "test", error="broken")
    kinds = [finding.kind for finding in dataset.audit()]
    assert kinds == ["unreadable", "no test image"]


def test_an_oddity_is_one_warning_with_count_and_first_places(dataset):
    for place in range(5, 10):
        dataset.add(f"Wren/{place}.jpg", oddities=("CMYK",))
    finding = only(dataset.audit())
    assert (finding.level, finding.kind) == ("warning", "odd image")
    assert finding.what == "CMYK: 5 of 15 images: Wren/5.jpg, Wren/6.jpg, Wren/7.jpg and 2 more"


@pytest.mark.parametrize(
    ("label", "official", "level", "words"),
    [
        ("Robin", "train", "error", "under 2 classes: bird 'Robin', bird 'Wren'"),
        ("Wren", "test", "error", "on the sides test and train"),
        ("Wren", "train", "warning", "the same file as Copy/1.jpg"),
    ],
)
def test_an_exact_copy_is_an_error_across_classes_or_sides(dataset, label, official, level, words):
    looks = {"sha256": dataset.inspected[0].sha256, "phash": dataset.inspected[0].phash}
    dataset.add("Copy/1.jpg", label, official, **looks)
    finding = only(dataset.audit())
    assert (finding.level, finding.kind, finding.where) == (level, "duplicate", "images.txt:1")
    assert words in finding.what


def test_near_duplicates_across_sides_and_classes_are_a_warning_each(dataset):
    near = f"{int(dataset.inspected[0].phash, 16) ^ 1:016x}"
    dataset.add("Wren/near.jpg", "Wren", "test", phash=near)
    dataset.add("Robin/near.jpg", "Robin", "train", phash=near)
    findings = dataset.audit()
    assert Counter((one.level, one.kind) for one in findings) == {("warning", "near-duplicate"): 2}
    # Wren/0 ~ Wren/near (1 bit), and Wren/near ~ Robin/near (0) are across sides.
    assert findings[0].what.startswith("pairs of nearly the same picture across sides: 2 ")
    assert findings[1].what.endswith("Wren/0.jpg ~ Robin/near.jpg (1)")


def test_very_unequal_classes_are_a_warning(dataset):
    for place in range(5, 25):
        dataset.add(f"Wren/{place}.jpg")
    finding = only(dataset.audit())
    assert (finding.level, finding.kind) == ("warning", "class sizes")
    assert finding.what == "'Wren' has 25 images, 'Robin' 5"


def test_errors_come_first(dataset):
    dataset.add("Wren/5.jpg", oddities=("CMYK",))
    dataset.add("Wren/6.jpg", error="broken")
    assert [finding.level for finding in dataset.audit()] == ["error", "warning"]


def test_an_empty_dataset_has_no_finding():
    assert audit("bird", [], [], NearPairs(), None) == []


def finding(level, number, kind="duplicate"):
    return Finding(level, kind, f"t:{number}", "wrong", "mend it")


def test_every_error_is_printed_and_some_warnings():
    findings = [finding("warning", n) for n in range(SHOWN_WARNINGS + 3)]
    findings += [finding("error", n) for n in range(SHOWN_WARNINGS + 3)]
    lines = describe(findings).split("\n")
    assert lines[0] == "error: t:0: wrong; mend it"
    assert sum(line.startswith("error:") for line in lines) == SHOWN_WARNINGS + 3
    assert lines[-1] == "warning: duplicate: 3 more like these"
    assert sum(line.startswith("warning: t:") for line in lines) == SHOWN_WARNINGS


def test_no_finding_is_no_text():
    assert describe([]) == ""


def test_the_sheet_shows_both_pictures_of_a_pair():
    dataset = Dataset()
    colours = {dataset.images[0].path: "red", dataset.images[5].path: "blue"}
    pair = NearPair(dataset.images[0], dataset.images[5], 3)
    sheet = near_duplicate_sheet(
        [pair], lambda image: Image.new("RGB", (40, 40), colours[image.path])
    )
    middle = CAPTION + TILE // 2
    assert sheet.getpixel((TILE // 2, middle)) == (255, 0, 0)
    assert sheet.getpixel((TILE + TILE // 2, middle)) == (0, 0, 255)


def test_a_sheet_takes_names_with_line_breaks():
    dataset = Dataset()
    dataset.add("Wren\nnew/5.jpg", "Wren\nnew")
    pair = NearPair(dataset.images[0], dataset.images[-1], 3)
    near_duplicate_sheet([pair], lambda image: Image.new("RGB", (9, 9)))


def test_a_sheet_without_pairs_is_refused():
    with pytest.raises(ValueError, match="needs a pair"):
        near_duplicate_sheet([], lambda image: Image.new("RGB", (9, 9)))
