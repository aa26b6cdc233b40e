import json
import os
import unicodedata

import pytest
from PIL import Image

from finer1.own.sources import list_source

# Names as users and systems make them; the last two are the longest for a reader and for a file.
NAMES = (
    "Bl\u00e4uling",
    unicodedata.normalize("NFD", "K\u00e4fer"),
    "\u042f\u0441\u0442\u0440\u0435\u0431",
    "\u4e39\u9876\u9e64",
    "\u0639\u0642\u0627\u0628",
    "\u05e0\u05e9\u05e8",
    "\u0939\u0902\u0938",
    "\U0001f985 eagle",
    "family \U0001f468\u200d\U0001f469\u200d\U0001f467",
    'O\'Brien "the" Crow',
    "Crow & Sons (100%) #1",
    "{{ jinja }} $HOME `ls`",
    "-rf",
    "\u00df\u0130\u0131 case",
    "\u9e64" * 84 + "abc",
)


def draw(path, colour):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 12), (colour, 40, 80)).save(path)


@pytest.fixture
def beetles(tmp_path):
    root = tmp_path / "beetles"
    for place, name in enumerate(("green_tiger", "violet", "golden")):
        for number in range(3):
            draw(root / name / f"{number}.png", place * 80 + number)
    return root


def errors(found):
    return [finding for finding in found.findings if finding.level == "error"]


def test_class_folders_are_the_labels(beetles):
    found = list_source(beetles, "ground_beetle")
    assert not found.findings
    assert [image.label for image in found.images[::3]] == ["golden", "green tiger", "violet"]
    assert {image.category for image in found.images} == {"ground beetle"}
    assert found.images[0].path == "golden/0.png"


@pytest.mark.parametrize(
    ("name", "side"),
    [("validation", "validation"), ("val", "validation"), ("valid", "validation")],
)
def test_split_folders_are_the_sides(beetles, name, side):
    for word in ("train", name, "Test"):
        draw(beetles.parent / "split" / word / "violet" / "1.png", 1)
    found = list_source(beetles.parent / "split", "beetle")
    assert not found.findings
    assert [(i.path.split("/")[0], i.official) for i in found.images] == [
        ("Test", "test"),
        ("train", "train"),
        (name, side),
    ]


def test_a_class_may_be_called_train(beetles):
    draw(beetles / "train" / "1.png", 5)
    assert "train" in {image.label for image in list_source(beetles, "vehicle").images}


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_an_imagefolder_has_its_labels_in_a_table(beetles, suffix):
    rows = [("golden/0.png", "Golden Beetle"), ("violet/1.png", "Violet Beetle")]
    text = "file_name,label\n" + "".join(f"{name},{label}\n" for name, label in rows)
    if suffix == "jsonl":
        text = "".join(json.dumps({"file_name": n, "label": x}) + "\n" for n, x in rows)
    (beetles / f"metadata.{suffix}").write_text(text)
    found = list_source(beetles, "beetle")
    assert [(image.path, image.label) for image in found.images] == rows
    # nine images, two in the table
    assert [finding.what[:8] for finding in found.findings] == ["7 images"]


def test_an_imagefolder_may_have_a_table_per_split(tmp_path):
    for word in ("train", "test"):
        draw(tmp_path / word / "1.png", 3)
        (tmp_path / word / "metadata.csv").write_text("file_name,label\n1.png,violet\n")
    found = list_source(tmp_path, "beetle")
    assert [(image.path, image.official) for image in found.images] == [
        ("test/1.png", "test"),
        ("train/1.png", "train"),
    ]


def test_a_table_elsewhere_is_taken_by_name(beetles):
    (beetles / "labels.csv").write_text("image,class\nviolet/1.png,Violet\n")
    (image,) = list_source(beetles / "labels.csv", "beetle").images
    assert (image.path, image.label) == ("violet/1.png", "Violet")


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_kept_in_its_composed_form(beetles, name):
    draw(beetles / name / f"{name[:60]}.png", 9)
    found = list_source(beetles, "beetle")
    image = next(image for image in found.images if image.source.parent.name == name)
    assert image.label == unicodedata.normalize("NFC", name)
    assert image.source.read_bytes() == (beetles / image.path).read_bytes()


def test_all_that_is_wrong_is_told_at_once(beetles):
    draw(beetles / "one.png", 1)
    (beetles / "empty").mkdir()
    draw(beetles / "violet" / "more" / "1.png", 2)
    (beetles / "golden" / "notes.txt").write_text("x")
    (beetles / "golden" / "photo.heic").write_text("x")
    draw(beetles / "dark, <golden>" / "1.png", 3)
    draw(beetles / "green tiger" / "1.png", 4)
    told = {
        (f.where.removeprefix(f"{beetles}/"), f.what) for f in errors(list_source(beetles, "x"))
    }
    assert told == {
        ("one.png", "an image in no class folder"),
        ("empty", "no image in this class folder"),
        ("violet/more", "a folder inside a class folder"),
        (
            "golden/notes.txt",
            "not an image file (.jpg, .jpeg, .jpe, .jfif, .png, .webp, .gif, .bmp)",
        ),
        (
            "golden/photo.heic",
            "not an image file (.jpg, .jpeg, .jpe, .jfif, .png, .webp, .gif, .bmp)",
        ),
        ("dark, <golden>", "the name of the class holds a comma, semicolon or angle bracket"),
        (
            "green_tiger",
            f"the same class name (green tiger) as the folder {beetles}/green tiger",
        ),
    }


def test_two_forms_of_one_name_are_one_class_too_many(beetles):
    draw(beetles / "K\u00e4fer" / "1.png", 1)
    draw(beetles / unicodedata.normalize("NFD", "K\u00e4fer") / "1.png", 2)
    (finding,) = errors(list_source(beetles, "beetle"))
    assert finding.what.startswith("the same class name")


def test_hidden_files_and_other_files_beside_the_classes_are_left_out_and_counted(beetles):
    for name in (".DS_Store", "golden/.hidden.png", "golden/Thumbs.db", "README.txt"):
        (beetles / name).write_text("x")
    (beetles / "__MACOSX").mkdir()
    found = list_source(beetles, "beetle")
    assert len(found.images) == 9
    assert [(f.level, f.what[:21]) for f in found.findings] == [
        ("warning", "5 hidden or other fil")
    ]


def test_a_link_out_of_the_folder_is_refused_and_one_inside_is_taken(beetles, tmp_path):
    draw(tmp_path / "elsewhere" / "1.png", 1)
    (beetles / "golden" / "out.png").symlink_to(tmp_path / "elsewhere/1.png")
    (beetles / "outer").symlink_to(tmp_path / "elsewhere")
    (beetles / "golden" / "in.png").symlink_to(beetles / "violet/1.png")
    found = list_source(beetles, "beetle")
    assert [f.where.rpartition("/")[2] for f in errors(found)] == ["out.png", "outer"]
    assert "golden/in.png" in {image.path for image in found.images}


@pytest.mark.parametrize(
    ("name", "what"),
    [
        (os.fsdecode(b"r\xf6k"), "holds characters that are no text"),
        ("a\\b", "holds a backslash; write / between folders"),
        ("C:x", "names a scheme or a drive"),
        ("%2e%2e%2fx", "holds .."),
    ],
)
def test_a_name_that_could_not_be_read_back_is_refused(beetles, name, what):
    (beetles / "golden/0.png").rename(beetles / "golden" / f"{name}.png")
    (beetles / "violet").rename(beetles / name)
    told = {finding.what for finding in errors(list_source(beetles, "beetle"))}
    assert told == {f"its name {what}", f"the name of the class {what}"}


def test_classes_beside_train_and_test_are_refused(beetles):
    for word in ("train", "test"):
        draw(beetles / word / "violet" / "1.png", 1)
    (finding,) = errors(list_source(beetles, "beetle"))
    assert finding.what == "beside train and test: golden, green_tiger, violet"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: None, "no such folder or table"),
        (lambda root: root.mkdir(), "no sub-folder; make one per class"),
        (lambda root: root.write_text("x"), "no folder and no table"),
        (
            lambda root: [
                draw(root / "a/1.png", 1),
                (root / "metadata.csv").write_text("x"),
                (root / "metadata.jsonl").write_text("x"),
            ],
            "remove one of them",
        ),
        (
            lambda root: [draw(root / "a/1.png", 1), (root / "metadata.parquet").write_text("x")],
            "write it as metadata.csv",
        ),
        (
            lambda root: [
                draw(root / "train/1.png", 1),
                (root / "metadata.csv").write_text("x"),
                (root / "train/metadata.csv").write_text("x"),
            ],
            "keep one of them",
        ),
    ],
)
def test_what_cannot_be_listed_is_refused(tmp_path, make, message):
    make(tmp_path / "images")
    with pytest.raises(ValueError, match=message):
        list_source(tmp_path / "images", "beetle")


@pytest.mark.parametrize("category", ["", "_", "beetle, bug", "<b>", "b" * 101, "a\x07b"])
def test_a_category_that_is_no_word_is_refused(beetles, category):
    with pytest.raises(ValueError, match=r"--category: .* write a word as in: bird"):
        list_source(beetles, category)


def test_a_jfif_is_an_image(beetles):
    (beetles / "violet/1.jfif").write_bytes(b"looked at later")
    assert "violet/1.jfif" in {image.path for image in list_source(beetles, "x").images}


def test_a_file_name_with_a_line_break_is_told_on_one_line(beetles):
    draw(beetles / "violet/new\nline.png", 1)
    (finding,) = errors(list_source(beetles, "x"))
    assert finding.what == "its name holds the control character U+000A"
    assert finding.where.endswith("new\\nline.png")
