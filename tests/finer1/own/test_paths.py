import os

import pytest
from PIL import Image

from finer1.own.paths import checked_path


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


# Names of the tests of Hugging Face's imagefolder, and the ways around such a test.
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../x.png", r"holds \.\."),
        ("a/../../x.png", r"holds \.\."),
        ("a/../b/3.png", r"holds \.\."),
        ("..", r"holds \.\."),
        ("../crows-evil/x.png", r"holds \.\."),
        ("/etc/passwd", "absolute"),
        ("http://example.org/x.png", "scheme"),
        ("https://example.org/x.png", "scheme"),
        ("file:///etc/passwd", "scheme"),
        ("hf://datasets/a/b.png", "scheme"),
        ("s3://bucket/x.png", "scheme"),
        ("zip://x.png::http://example.org/a.zip", "scheme"),
        ("a/x.png::b", "scheme"),
        ("data:image/png;base64,AAAA", "scheme"),
        ("C:/x.png", "scheme or a drive"),
        ("a\\1.png", "backslash"),
        ("\\\\server\\x.png", "backslash"),
        ("%2e%2e/x.png", r"holds \.\."),
        ("%2fetc/passwd", "absolute"),
        ("a/1.png\0.txt", "NUL"),
        ("a/%00.png", "NUL"),
        ("a/new\nline.png", r"control character U\+000A"),
        ("a/%0aline.png", r"control character U\+000A"),
        ("a/\x1b[31m.png", r"control character U\+001B"),
        ("a/line\u2028.png", r"control character U\+2028"),
        ("", "empty"),
        ("a", "no file"),
        (f"{'n' * 256}.png", "longer"),
        ("a/" * 2100 + "1.png", "longer"),
        ("a/\udcff.png", "no text"),
        ("way-out/x.png", "link that leads out"),
        ("out.png", "link that leads out"),
        ("loop.png", "no file"),
        ("a/9.png", "no file"),
    ],
)
def test_a_path_that_is_no_file_inside_the_folder_is_refused(crows, name, reason):
    (crows / "way-out").symlink_to(crows.parent / "crows-evil")
    (crows / "out.png").symlink_to(crows.parent / "crows-evil/x.png")
    (crows / "loop.png").symlink_to(crows / "loop.png")
    with pytest.raises(ValueError, match=reason):
        checked_path(crows, crows, name)


@pytest.mark.parametrize("name", ["a/1.png", "./a/1.png", "a//1.png", "link.png"])
def test_a_path_inside_the_folder_is_taken(crows, name):
    (crows / "link.png").symlink_to(crows / "a/1.png")
    assert os.path.samefile(checked_path(crows, crows, name), crows / "a/1.png")
