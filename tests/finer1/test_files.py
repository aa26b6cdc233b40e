import errno
import os
from pathlib import Path

import pytest

from finer1 import faults
from finer1.files import (
    check_space,
    new_file,
    new_folder,
    sha256_file,
    sha256_folder,
    write_atomic,
    write_json,
)
from tests.crashes import survives_everywhere


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


def write_folder(folder, text="new"):
    with new_folder(folder / "target") as part:
        (part / "sub").mkdir()
        (part / "sub/a").write_text(text)
        write_atomic(part / "marker", b"done")


def test_a_new_folder_takes_the_place_of_the_old_one(tmp_path):
    write_folder(tmp_path, "old")
    write_folder(tmp_path)
    assert (tmp_path / "target/sub/a").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_a_folder_that_fails_leaves_the_old_one(tmp_path):
    write_folder(tmp_path, "old")
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "target") as part:
        (part / "x").write_bytes(bytes(1 // 0))
    assert (tmp_path / "target/sub/a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_a_file_that_fails_leaves_the_old_one(tmp_path):
    write_atomic(tmp_path / "a", b"old")
    with pytest.raises(ZeroDivisionError), new_file(tmp_path / "a") as part:
        part.write_bytes(bytes(1 // 0))
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


# A file: write, sync, rename, sync of the folder. A folder, whose marker is such a file: sync,
# rename, sync of the folder around it; where one is there, setting it aside and removing it.
@pytest.mark.parametrize("action", ["kill", "enospc"])
@pytest.mark.parametrize(("is_there", "num_points"), [(False, 4 + 3), (True, 4 + 3 + 4 + 5)])
def test_a_folder_is_whole_whatever_happens_at_any_point(tmp_path, action, is_there, num_points):
    def act(folder):
        if is_there:
            write_folder(folder, "old")
        write_folder(folder)

    def check(folder):
        kept = [*folder.glob("target"), *folder.glob(".target.old")]
        assert all((path / "marker").read_bytes() == b"done" for path in kept)

    assert survives_everywhere(act, tmp_path, action, check) == num_points


def test_a_full_disk_is_told_with_what_is_needed_and_what_is_free(tmp_path):
    sentence = r"a needs 3 MB, [\d.]+ [MG]B are free; free some"
    faults.arm("file:write:1:enospc")
    try:
        with pytest.raises(OSError, match=sentence) as told:
            write_atomic(tmp_path / "a", bytes(2_500_000))
    finally:
        faults.arm(None)
    assert told.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []


def test_what_does_not_fit_is_refused_before_it_is_written(tmp_path):
    check_space(tmp_path / "new/a", 1)
    with pytest.raises(OSError, match=r"new/a needs 1000000000000\.0 GB"):
        check_space(tmp_path / "new/a", 10**21)
