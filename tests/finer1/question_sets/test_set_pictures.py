"""Images of question sets: beside a table, or in a parquet file."""

import hashlib
import io
import json

import pytest
from PIL import Image

from finer1.question_sets.pictures import FolderPictures, check_pictures
from finer1.question_sets.tables import read_table


def png(colour):
    with io.BytesIO() as buffer:
        Image.new("RGB", (16, 16), colour).save(buffer, "PNG")
        return buffer.getvalue()


@pytest.fixture
def table(tmp_path):
    """Write a set with these images into a folder that has a.png."""

    def table(*names, outside=False):
        folder = tmp_path / "set"
        folder.mkdir(exist_ok=True)
        (folder / "a.png").write_bytes(png("red"))
        rows = [{"image": name, "question": "?", "answer": "wren"} for name in names]
        (folder / "set.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return read_table(folder / "set.jsonl", {}, "", outside)

    return table


def test_images_are_found_beside_the_table_and_hashed(table):
    assert check_pictures(table("a.png")) == {"a.png": hashlib.sha256(png("red")).hexdigest()}


@pytest.mark.parametrize("kind", ["absolute", "above", "link"])
def test_nothing_outside_the_folder_is_read_unless_it_is_allowed(table, tmp_path, kind):
    secret = tmp_path / "secret.png"
    secret.write_bytes(png("blue"))
    name = {"absolute": str(secret), "above": "../secret.png", "link": "link.png"}[kind]
    (tmp_path / "set").mkdir()
    (tmp_path / "set/link.png").symlink_to(secret)
    with pytest.raises(ValueError, match=r"set\.jsonl:1: image .*; --outside allows it"):
        check_pictures(table(name))
    assert check_pictures(table(name, outside=True)).keys() == {name}


def test_every_image_that_cannot_be_read_is_named(table, tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set/torn.png").write_bytes(png("red")[:40])
    with pytest.raises(ValueError) as error:
        check_pictures(table("a.png", "b.png", "torn.png", "https://x.org/a.png"))
    lines = str(error.value).splitlines()
    assert [line.split()[2].rstrip(":") for line in lines] == [
        "b.png", "torn.png", "https://x.org/a.png",
    ]  # fmt: skip
    assert "set.jsonl:3: image torn.png: not a readable image" in lines[1]


def test_a_nul_character_is_no_path(tmp_path):
    with pytest.raises(ValueError, match="is no file"):
        FolderPictures(tmp_path, True)("a\0b")


@pytest.fixture
def parquet(tmp_path):
    """Seven rows in row groups of three: bytes, bytes with a path, two images, a path alone."""
    import pyarrow
    from pyarrow.parquet import write_table

    (tmp_path / "a.png").write_bytes(png("red"))
    cells = [[{"bytes": png((i, 0, 0)), "path": None}] for i in range(4)]
    cells.append([{"bytes": png("blue"), "path": "b.png"}])
    cells.append([{"bytes": png("lime"), "path": None}, {"bytes": png("gold"), "path": None}])
    cells.append([{"bytes": None, "path": "a.png"}])
    rows = [{"image": cell, "question": "?", "answer": "wren"} for cell in cells]
    write_table(pyarrow.Table.from_pylist(rows), tmp_path / "set.parquet", row_group_size=3)
    return read_table(tmp_path / "set.parquet", {}, "", outside=False)


def test_images_in_parquet_are_read_by_row_in_any_order(parquet):
    names = [item.images for item in parquet.questions]
    assert names[3:] == [("row4",), ("row5/b.png",), ("row6", "row6.2"), ("a.png",)]
    assert parquet.read_bytes("row6.2") == png("gold")
    assert parquet.read_bytes("row1") == png((0, 0, 0))
    assert parquet.read_bytes("row5/b.png") == png("blue")
    assert parquet.read_bytes("a.png") == png("red")


def test_a_column_of_bytes_is_a_column_of_images(tmp_path):
    import pyarrow
    from pyarrow.parquet import write_table

    rows = [{"image": png("red"), "question": "?", "answer": "wren"}]
    write_table(pyarrow.Table.from_pylist(rows), tmp_path / "set.parquet")
    asked = read_table(tmp_path / "set.parquet", {}, "", outside=False)
    assert asked.read_bytes(asked.questions[0].images[0]) == png("red")
