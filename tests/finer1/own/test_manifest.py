import json
from pathlib import Path

import pytest
from PIL import Image

from finer1.own.manifest import Table, list_table


@pytest.fixture
def crows(tmp_path):
    """Folder with three images in two sub-folders; beside it a folder of a name that begins so."""
    root = tmp_path / "crows"
    for place, name in enumerate(("a/1.png", "a/2.png", "b/3.png")):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 9), (place, 0, 0)).save(path)
    (tmp_path / "crows-evil").mkdir()
    (tmp_path / "crows-evil/x.png").write_bytes((root / "a/1.png").read_bytes())
    return root.resolve()


def read_csv(root: Path, *lines: str, name: str = "labels.csv", side=None):
    path = root / name
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return list_table(Table(path, root, side), "crow")


@pytest.mark.parametrize("path", ["file_name", "path", "image", "Image", " PATH "])
@pytest.mark.parametrize("label", ["label", "class", "Class"])
def test_columns_have_several_names(crows, path, label):
    images, wrong = read_csv(crows, f"{path},{label}", "a/1.png,Carrion Crow")
    assert not wrong
    assert [(image.path, image.label) for image in images] == [("a/1.png", "Carrion Crow")]


def test_split_and_group_are_read(crows):
    lines = ("path,label,split,group", "a/1.png,Rook,Val,Corvus", "b/3.png,Chough,test,")
    images, _ = read_csv(crows, *lines)
    assert [(i.official, i.group) for i in images] == [("validation", "Corvus"), ("test", None)]


def test_a_row_names_its_line_even_after_a_quoted_line_break(crows):
    images, _ = read_csv(crows, "path,label,note", 'a/1.png,Rook,"two', 'lines"', "b/3.png,Rook,x")
    assert [image.where for image in images] == [
        f"{crows}/labels.csv:2",
        f"{crows}/labels.csv:4",
    ]


@pytest.mark.parametrize("mark", [";", "\t"])
def test_other_separators_are_seen(crows, mark):
    images, _ = read_csv(crows, mark.join(("path", "label")), mark.join(("a/1.png", "Rook")))
    assert images[0].label == "Rook"


def test_a_byte_order_mark_is_no_part_of_the_name(crows):
    images, _ = read_csv(crows, "\ufeffpath,label", "a/1.png,Rook")
    assert images[0].path == "a/1.png"


def test_all_broken_rows_are_told(crows):
    images, wrong = read_csv(
        crows,
        "path,label,split",
        "a/1.png,Rook,train",
        "a/9.png,Rook,train",
        "a/2.png,,train",
        "b/3.png,Rook,later",
        "a/1.png,Rook,test",
        "../x.png,Rook,test",
        'a/2.png,"Rook, black",test',
    )
    assert [image.path for image in images] == ["a/1.png"]
    assert [finding.where.rpartition(":")[2] for finding in wrong] == ["3", "4", "5", "6", "7", "8"]
    assert {finding.level for finding in wrong} == {"error"}
    assert "already in line 2" in wrong[3].what


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "no row"),
        (b"path,label\n", "no row"),
        (b"path,species\na/1.png,Rook\n", "no column label or class; there are path, species"),
        (b"name,label\na/1.png,Rook\n", "no column file_name or path or image"),
        (b'path,"label\n', "labels.csv:1: no CSV"),
        (b"path,label\na/1.png,R\xf6k\n", "labels.csv:2: not UTF-8"),
    ],
)
def test_a_file_that_is_no_such_table_is_refused(crows, text, message):
    (crows / "labels.csv").write_bytes(text)
    with pytest.raises(ValueError, match=message):
        list_table(Table(crows / "labels.csv", crows), "crow")


def test_all_broken_lines_of_csv_are_told(crows):
    images, wrong = read_csv(
        crows,
        "path,label",
        "a/1.png,Rook,x",
        'a/1.png,"Rook" x',
        "a/9.png,Rook",
        "a/2.png,Rook",
        'b/3.png,"Rook',
    )
    assert [image.path for image in images] == ["a/2.png"]
    assert [finding.where.rpartition(":")[2] for finding in wrong] == ["2", "3", "4", "6"]
    assert wrong[0].what == "3 cells below 2 names of columns"
    assert wrong[3].what.startswith("no CSV")


def test_all_broken_lines_of_json_are_told(crows):
    good = json.dumps({"file_name": "a/2.png", "label": "Rook"})
    broken = ('{"file_name": "a/1.png", "label": "Rook"', '["a/1.png", "Rook"]', "[" * 100_000)
    images, wrong = read_csv(crows, broken[0], good, *broken[1:], name="metadata.jsonl")
    assert [image.path for image in images] == ["a/2.png"]
    assert [finding.where.rpartition(":")[2] for finding in wrong] == ["1", "3", "4"]
    assert wrong[1].what == "no JSON object"


def test_a_table_of_broken_rows_alone_is_told_by_its_rows(crows):
    images, wrong = read_csv(crows, "{", "[", name="metadata.jsonl")
    assert (images, len(wrong)) == ([], 2)


@pytest.mark.parametrize("group", ["g" * 101, "Corvus\x07", "Corvus\u200b"])
def test_a_group_is_a_name(crows, group):
    _, wrong = read_csv(crows, "path,label,group", f"a/1.png,Rook,{group}")
    assert "the group" in wrong[0].what


def test_numbers_as_labels_become_text_and_other_kinds_are_refused(crows):
    rows = [("a/1.png", 7), ("a/2.png", None), ("b/3.png", ["Rook"])]
    lines = [json.dumps({"file_name": name, "label": label}) for name, label in rows]
    images, wrong = read_csv(crows, *lines, name="metadata.jsonl")
    assert ([image.label for image in images], len(wrong)) == (["7"], 2)


def test_a_path_may_begin_with_its_split(crows):
    for name in ("train", "valid"):
        (crows / name).mkdir()
        (crows / name / "x.png").write_bytes((crows / "a/1.png").read_bytes())
    images, _ = read_csv(crows, "path,label", "train/x.png,Rook", "valid/x.png,Rook")
    assert [image.official for image in images] == ["train", "validation"]
