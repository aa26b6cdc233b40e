from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from finer1.datasets import folder
from finer1.params import load_params


@pytest.fixture
def settings(repository):
    return load_params(repository / "params.yaml").download  # test_every: 4


@pytest.fixture
def beetles(tmp_path):
    root = tmp_path / "ground_beetle"
    for place, name in enumerate(("green_tiger", "violet", "golden")):
        for number in range(9):
            path = root / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (12, 12), (place * 80, number * 20, 7)).save(path)
    (root / "category.txt").write_text("beetle\n")
    return root


def test_labels_are_the_folder_names(beetles, settings):
    labels = {record.label for record, _ in folder.read(beetles, settings)}
    assert labels == {"golden", "green tiger", "violet"}


def test_category_file_names_the_category(beetles, settings):
    assert {r.category for r, _ in folder.read(beetles, settings)} == {"beetle"}


def test_a_missing_category_file_says_what_to_write(beetles, settings):
    (beetles / "category.txt").unlink()
    with pytest.raises(ValueError, match=r"category.txt is missing; write one word .* bird"):
        list(folder.read(beetles, settings))


@pytest.mark.parametrize("text", ["", "beetle, bug"])
def test_a_category_that_is_no_word_is_refused(beetles, settings, text):
    (beetles / "category.txt").write_text(text)
    with pytest.raises(ValueError, match=r"category.txt: .* is not a word"):
        list(folder.read(beetles, settings))


def test_an_image_in_no_sub_folder_is_refused(beetles, settings):
    Image.new("RGB", (12, 12)).save(beetles / "one.png")
    with pytest.raises(ValueError, match=r"one.png: an image in no sub-folder"):
        list(folder.read(beetles, settings))


def test_a_fourth_of_each_class_is_for_the_test(beetles, settings):
    sides = Counter((r.label, r.official) for r, _ in folder.read(beetles, settings))
    # floor(9 / 4) = 2
    assert sides["violet", "test"] == 2
    assert sides["violet", "train"] == 7


def test_class_that_grows_leaves_the_others_alone(beetles, settings):
    before = {r.id: r.official for r, _ in folder.read(beetles, settings)}
    Image.new("RGB", (12, 12), "white").save(beetles / "golden" / "new.png")
    after = {r.id: r.official for r, _ in folder.read(beetles, settings)}
    assert all(after[i] == side for i, side in before.items() if "/golden/" not in i)


def test_hidden_files_are_left_out(beetles, settings):
    (beetles / "golden" / ".DS_Store").write_bytes(b"x")
    assert len(list(folder.read(beetles, settings))) == 27


@pytest.mark.parametrize("name", ["notes.txt", "more.zip"])
def test_strange_file_is_named(beetles, settings, name):
    (beetles / "golden" / name).write_bytes(b"x")
    with pytest.raises(ValueError, match=rf"golden/{name}: not an image file"):
        list(folder.read(beetles, settings))


def test_all_unreadable_images_are_named(beetles, settings):
    for name in ("golden/3.png", "violet/5.png"):
        (beetles / name).write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"golden/3.png(.|\n)*violet/5.png"):
        list(folder.read(beetles, settings))


def test_an_image_that_may_not_be_read_is_named_with_the_others(beetles, settings, monkeypatch):
    (beetles / "violet/5.png").write_bytes(b"no image")
    read = Path.open

    def refuse(path, *rest, **more):
        if path.name == "3.png":
            raise PermissionError(13, "Permission denied", str(path))
        return read(path, *rest, **more)

    # The tests may run as root, who may read everything.
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ValueError, match=r"golden/3.png: Permission denied(.|\n)*violet/5.png"):
        list(folder.read(beetles, settings))


def test_name_that_would_break_a_list_of_options_is_refused(beetles, settings):
    (beetles / "golden").rename(beetles / "golden, dark")
    with pytest.raises(ValueError, match="must not hold a comma"):
        list(folder.read(beetles, settings))


def test_names_that_differ_in_case_only_are_refused(beetles, settings):
    (beetles / "Golden").mkdir()
    Image.new("RGB", (12, 12)).save(beetles / "Golden" / "a.png")
    with pytest.raises(ValueError, match="the same name as"):
        list(folder.read(beetles, settings))


def test_empty_root_is_refused(tmp_path, settings):
    (tmp_path / "category.txt").write_text("beetle")
    with pytest.raises(ValueError, match="no sub-folder"):
        list(folder.read(tmp_path, settings))
