import subprocess

import pytest

from finer1.files import sha256_folder
from finer1.manifest import MANIFEST, check_folder, model_identity, write_manifest


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/b").write_bytes(b"abc")
    (tmp_path / "a").write_bytes(b"")
    return tmp_path


def test_the_manifest_is_one_that_coreutils_check(folder):
    write_manifest(folder)
    assert len((folder / MANIFEST).read_text().splitlines()) == 2
    command = ["sha256sum", "-c", MANIFEST]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout == "a: OK\nsub/b: OK\n"


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda folder: (folder / "sub/b").write_bytes(b"abd"), "sub/b is damaged"),
        (lambda folder: (folder / "a").unlink(), "a is missing"),
        (lambda folder: (folder / MANIFEST).write_bytes(b"x  a\n"), f"{MANIFEST} is damaged"),
        (lambda folder: (folder / MANIFEST).write_bytes(b""), f"{MANIFEST} is damaged"),
    ],
)
def test_what_is_wrong_is_named(folder, harm, words):
    write_manifest(folder)
    harm(folder)
    with pytest.raises(ValueError, match=words):
        check_folder(folder)


def test_a_file_that_came_later_harms_nothing(folder):
    write_manifest(folder)
    (folder / "notes").write_text("x")
    check_folder(folder)


def test_a_folder_without_manifest_passes(folder):
    check_folder(folder)


def test_the_manifest_does_not_change_what_a_model_is_known_by(folder):
    before = sha256_folder(folder)
    write_manifest(folder)
    assert model_identity(folder) == before
    (folder / "a").write_bytes(b"x")
    with pytest.raises(ValueError, match="a is damaged"):
        model_identity(folder)
