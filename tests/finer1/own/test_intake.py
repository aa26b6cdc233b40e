import shutil
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from finer1.inspection.audit import Shots
from finer1.own.intake import Wishes, default_name, examine
from finer1.own.sources import list_source
from finer1.params import load_params

WISHES = Wishes("beetles", test_every=4)


def noise(seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.fixture
def beetles(tmp_path):
    """Four classes of nine images that look like nothing else."""
    root = tmp_path / "beetles"
    for place, name in enumerate(("golden", "green", "ruby", "violet")):
        for number in range(9):
            path = root / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            noise(place * 9 + number).save(path)
    return root


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """What was seen in images, by content: the tests share it, as their images are the same."""
    return tmp_path_factory.mktemp("inspections")


@pytest.fixture
def look(repository, cache):
    params = load_params(repository / "params.yaml")

    def examine_folder(root, wishes=WISHES):
        return examine(list_source(root, "beetle"), wishes, params, cache, 1)

    return examine_folder


def errors(intake):
    return [finding for finding in intake.findings if finding.level == "error"]


def sides(intake):
    return {image.path: image.official for image in intake.images}


def test_a_fourth_of_each_class_is_for_the_test(beetles, look):
    counts = Counter((image.label, image.official) for image in look(beetles).images)
    # floor(9 / 4) = 2
    assert {counts[label, "test"] for label in ("golden", "green", "ruby", "violet")} == {2}
    assert counts["violet", "train"] == 7


def test_one_image_at_least_is_for_the_test(beetles, look):
    counts = Counter(image.official for image in look(beetles, Wishes("beetles", 99)).images)
    assert counts == {"train": 32, "test": 4}


def test_a_class_that_grows_leaves_the_others_alone(beetles, look):
    before = sides(look(beetles))
    noise(99).save(beetles / "golden" / "new.png")
    after = sides(look(beetles))
    assert all(after[path] == side for path, side in before.items() if "golden/" not in path)


def test_a_renamed_file_keeps_its_side(beetles, look):
    before = sides(look(beetles))
    (beetles / "golden/3.png").rename(beetles / "golden/z.png")
    assert sides(look(beetles))["golden/z.png"] == before["golden/3.png"]


def test_the_sides_of_a_source_stay(beetles, look, tmp_path):
    root = tmp_path / "sides"
    for word, numbers in {"train": range(6), "val": (6, 7), "test": (8,)}.items():
        for label in ("golden", "green", "ruby", "violet"):
            (root / word / label).mkdir(parents=True)
            for number in numbers:
                shutil.copy(beetles / label / f"{number}.png", root / word / label)
    counts = Counter(image.official for image in look(root).images)
    assert counts == {"train": 24, "validation": 8, "test": 4}


def test_exact_copies_inside_a_class_are_left_out_and_told(beetles, look):
    for name in ("0", "1"):
        shutil.copy(beetles / "golden" / f"{name}.png", beetles / "golden" / f"{name} copy.png")
    intake = look(beetles)
    assert len(intake.images) == 36
    (finding,) = [finding for finding in intake.findings if finding.kind == "duplicate"]
    assert finding.what.startswith("2 images are exact copies")
    assert not errors(intake)


def test_an_exact_copy_in_another_class_is_an_error(beetles, look):
    shutil.copy(beetles / "golden/0.png", beetles / "violet/copy.png")
    assert errors(look(beetles))


def test_all_unreadable_images_are_told_with_what_is_wrong_about_the_folders(beetles, look):
    (beetles / "golden/3.png").write_bytes(b"no image")
    (beetles / "violet/5.png").write_bytes((beetles / "violet/5.png").read_bytes()[:-40])
    (beetles / "empty").mkdir()
    told = "\n".join(f"{finding.where} {finding.what}" for finding in errors(look(beetles)))
    for word in ("golden/3.png", "violet/5.png", "empty"):
        assert word in told


@pytest.mark.parametrize(
    ("wishes", "is_enough"),
    [
        (WISHES, True),
        (Wishes("beetles", 4, 3, 4), True),
        # Both stages then train on some of the same images.
        (Wishes("beetles", 4, 4, 4), True),
        (Wishes("beetles", 4, needed=Shots(7, "")), True),
        (Wishes("beetles", 4, needed=Shots(8, "")), False),
    ],
)
def test_each_class_must_have_the_shots(beetles, look, wishes, is_enough):
    # Seven training images in each.
    assert (not errors(look(beetles, wishes))) == is_enough


def test_remedies_are_what_the_user_can_do_here(beetles, look):
    (beetles / "golden/3.png").write_bytes(b"no image")
    (finding,) = errors(look(beetles))
    assert finding.remedy == "replace the file, or remove it"


def test_two_classes_are_too_few(beetles, look):
    for name in ("golden", "green"):
        shutil.rmtree(beetles / name)
    intake = look(beetles)
    assert intake.plan is None
    assert "2 classes with readable images (ruby, violet); at least 3" in errors(intake)[0].what


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("Ground Beetles (2024)", "ground_beetles_2024"),
        ("K\u00e4fer", "kafer"),
        ("bird", "my_bird"),
        ("labels.csv", "labels"),
    ],
)
def test_the_default_name_is_that_of_the_source(tmp_path, folder, name):
    if folder.endswith(".csv"):
        (tmp_path / folder).write_text("x")
    assert default_name(tmp_path / folder) == name


def test_a_folder_without_a_letter_needs_a_name(tmp_path):
    with pytest.raises(ValueError, match="add --name NAME"):
        default_name(tmp_path / "\u9e64")
