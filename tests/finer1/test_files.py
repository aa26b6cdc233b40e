import os
from pathlib import Path

import pytest

from finer1.files import sha256_file, sha256_folder, write_atomic, write_json


def test_a_written_file_leaves_no_temporary_one(tmp_path):
    write_atomic(tmp_path / "a/b.txt", b"x")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.txt"]


def test_equal_values_give_equal_bytes(tmp_path):
    write_json(tmp_path / "a.json", {"b": 1, "a": 2.5})
    write_json(tmp_path / "b.json", {"a": 2.5, "b": 1})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_json_refuses_what_is_not_a_number(tmp_path):
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert not (tmp_path / "a.json").exists()


def test_sha256_of_a_known_file(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")  # the test vector of FIPS 180-2
    assert sha256_file(tmp_path / "a").startswith("ba7816bf8f01cfea414140de5dae2223")


def test_a_folders_hash_ignores_its_place_and_sees_names_and_contents(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub/a").write_bytes(b"abc")
    same = sha256_folder(tmp_path / "one")
    assert sha256_folder(tmp_path / "two") == same
    (tmp_path / "two/sub/a").rename(tmp_path / "two/sub/b")
    assert sha256_folder(tmp_path / "two") != same


@pytest.mark.parametrize("name", ["scandir", "open"])
def test_what_may_not_be_read_is_named(tmp_path, monkeypatch, name):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/a").write_bytes(b"abc")
    place = os if name == "scandir" else Path
    real = getattr(place, name)

    def refuse(path, *rest):
        if "sub" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *rest)

    # The tests may run as root, who may read everything.
    monkeypatch.setattr(place, name, refuse)
    with pytest.raises(ValueError, match=r"sub\S* may not be read"):
        sha256_folder(tmp_path)


def test_an_empty_folder_has_no_hash(tmp_path):
    with pytest.raises(ValueError, match="holds no file"):
        sha256_folder(tmp_path)
