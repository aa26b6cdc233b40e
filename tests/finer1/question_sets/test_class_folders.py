import pytest
from PIL import Image

from finer1.question_sets.class_folders import read_class_folders


@pytest.fixture
def shells(tmp_path):
    """Two classes of two images each, one of them with a caption beside it."""
    for name in ("Ark_clam/0", "Ark_clam/1", "cone snail/0", "cone snail/1"):
        path = tmp_path / "shells" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16)).save(path)
    (tmp_path / "shells/Ark_clam/1.txt").write_text("A clam\n on sand.\n")
    return tmp_path / "shells"


def kinds(asked, kind):
    return {item.images[0]: item for item in asked.questions if item.kind == kind}


def test_the_folder_is_the_class_and_the_text_beside_an_image_its_caption(shells):
    asked = read_class_folders(shells, "shell", False, 0)
    opened, described = kinds(asked, "open"), kinds(asked, "describe")
    assert opened["Ark_clam/0.png"].references == ("Ark clam",)
    assert "shell" in opened["Ark_clam/0.png"].text
    assert len(opened) == 4
    assert {name: item.references for name, item in described.items()} == {
        "Ark_clam/1.png": ("A clam on sand.",)
    }


def test_captions_may_stand_in_a_table(shells):
    rows = '{"file_name": "cone snail/0.png", "caption": "A snail."}\n'
    (shells / "captions.jsonl").write_text(rows * 1)
    described = kinds(read_class_folders(shells, "shell", False, 0), "describe")
    assert described["cone snail/0.png"].references == ("A snail.",)
    assert len(described) == 2


def test_a_caption_in_the_table_and_one_beside_the_image_both_count(shells):
    rows = '{"file_name": "./Ark_clam//1.png", "caption": "A shell."}\n'
    (shells / "captions.jsonl").write_text(rows)
    described = kinds(read_class_folders(shells, "shell", False, 0), "describe")
    assert described["Ark_clam/1.png"].references == ("A clam on sand.", "A shell.")


def test_of_a_split_the_test_side_alone_is_asked_about(shells):
    whole = shells.parent / "split"
    (whole / "train/x").mkdir(parents=True)
    shells.rename(whole / "test")
    asked = read_class_folders(whole, "shell", False, 0)
    assert set(kinds(asked, "open")) == {
        "test/Ark_clam/0.png", "test/Ark_clam/1.png",
        "test/cone snail/0.png", "test/cone snail/1.png",
    }  # fmt: skip


@pytest.fixture
def split(shells):
    """The shells as the side `test`, with an image of a side `train`."""
    whole = shells.parent / "split"
    (whole / "train/Ark_clam").mkdir(parents=True)
    (whole / "train/Ark_clam/0.png").write_bytes((shells / "Ark_clam/0.png").read_bytes())
    shells.rename(whole / "test")
    return whole


def captioned(folder, *names):
    lines = [f'{{"image": "{name}", "caption": "A snail."}}\n' for name in names]
    (folder / "captions.jsonl").write_text("".join(lines))


def test_captions_of_the_other_side_are_left_out_and_counted(split):
    captioned(split, "./test/cone snail/0.png", "train/Ark_clam/0.png")
    asked = read_class_folders(split, "shell", False, 0)
    assert set(kinds(asked, "describe")) == {"test/Ark_clam/1.png", "test/cone snail/0.png"}
    assert asked.notes[1] == f"1 captions of images outside {split / 'test'} left out"


def test_a_caption_relative_to_the_test_side_is_named(split):
    captioned(split, "cone snail/0.png")
    with pytest.raises(ValueError, match=r"jsonl:1: there is a caption but no image of cone snail"):
        read_class_folders(split, "shell", False, 0)


def test_two_folders_of_one_class_are_named(shells):
    (shells / "cone_snail").mkdir()
    (shells / "cone_snail/9.png").write_bytes((shells / "Ark_clam/0.png").read_bytes())
    with pytest.raises(ValueError, match="cone_snail: the name of the class is that of .*cone sn"):
        read_class_folders(shells, "shell", False, 0)


def test_the_wording_depends_on_seed_and_image_alone(shells):
    first, again, other = (
        [item.text for item in read_class_folders(shells, "shell", False, seed).questions]
        for seed in (0, 0, 1)
    )
    assert first == again != other


def test_everything_that_does_not_belong_is_named_at_once(shells):
    (shells / "Ark_clam/notes.pdf").write_bytes(b"")
    (shells / "Ark_clam/9.txt").write_text("of nothing")
    (shells / "Ark_clam/0.txt").write_text(" ")
    (shells / "cone snail/inner").mkdir()
    (shells / "loose.png").write_bytes(b"")
    (shells / "captions.jsonl").write_text('{"image": "Ark_clam/8.png", "caption": "A"}\n')
    with pytest.raises(ValueError) as error:
        read_class_folders(shells, "shell", False, 0)
    text = str(error.value)
    for part in (
        "notes.pdf: neither an image nor a caption",
        "9.txt: 0 images beside it have its name",
        "0.txt: an empty caption",
        "inner: a folder inside a class folder",
        "loose.png: an image in no class folder",
        "a caption but no image of Ark_clam/8.png",
    ):
        assert part in text
    assert len(text.splitlines()) == 6


def test_a_folder_without_images_or_without_a_word_for_them_is_refused(shells, tmp_path):
    with pytest.raises(ValueError, match="say what all of them show with --category"):
        read_class_folders(shells, "", False, 0)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty: no image; make a folder per class"):
        read_class_folders(tmp_path / "empty", "shell", False, 0)
