"""The benchmark of looking at images at toy size: counts and contents, never a time."""

import hashlib

import pytest
from PIL import Image

from benchmarks import data


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos" / "wren"
    folder.mkdir(parents=True)
    for number in range(3):
        Image.new("RGB", (20, 16), (number * 80, 9, 9)).save(folder / f"{number}.jpg")
    (folder / "notes.txt").touch()
    return tmp_path / "photos"


def test_copies_show_the_pictures_and_differ_in_content(photos, tmp_path):
    files = data.image_files([photos])
    data.write_copies(files, 7, tmp_path)
    copies = sorted(tmp_path.glob("*.jpg"))
    assert len({hashlib.sha256(path.read_bytes()).hexdigest() for path in copies}) == 7
    with Image.open(copies[5]) as copy, Image.open(files[2]) as original:
        assert copy.tobytes() == original.tobytes()


def test_a_row_counts_images_and_what_is_unreadable(photos, tmp_path):
    (photos / "broken.jpg").write_bytes(b"")
    row = data.index([photos], tmp_path / "cache", workers=1)
    assert row.split(" | ")[:3] == ["4", "1", "1"]


def test_the_steps_of_a_look_are_told_apart(photos):
    names = [row.split(" | ")[0] for row in data.parts(data.image_files([photos]))]
    assert names == ["| read", "| SHA-256", "| decode", "| perceptual hash"]


def test_without_photographs_it_says_how_to_name_them(tmp_path, capsys):
    with pytest.raises(SystemExit):
        data.main([str(tmp_path)])
    assert "no photographs; name folders of them" in capsys.readouterr().err
