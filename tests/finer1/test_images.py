import ast
import io

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from finer1.images import ImageArchive, crop_bottom, decode, write_archive


def encoded(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def smooth(size=(64, 60)):
    """A picture with few fine details, as photographs are."""
    small = np.random.default_rng(0).integers(40, 215, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def difference(one, other):
    """Mean over all pixels and channels, of 255."""
    return abs(np.asarray(one).astype(int) - np.asarray(other)).mean()


def test_equal_members_give_equal_archives_that_read_back(tmp_path):
    members = [("a/1.png", encoded(Image.new("RGB", (16, 16), "red"))), ("a/2.png", b"x")]
    write_archive(tmp_path / "one.zip", members)
    write_archive(tmp_path / "two.zip", members)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    archive = ImageArchive(tmp_path)
    assert archive.read("one/a/1.png").getpixel((0, 0)) == (255, 0, 0)
    assert archive.read_bytes("two/a/2.png") == b"x"


def test_a_broken_image_of_an_archive_is_named_by_its_id(tmp_path):
    write_archive(tmp_path / "bird.zip", [("7.jpg", b"GIF89a")])
    with pytest.raises(ValueError, match="bird/7.jpg: not a readable image"):
        ImageArchive(tmp_path).read("bird/7.jpg")


def test_a_member_that_comes_twice_is_refused(tmp_path):
    with pytest.raises(ValueError, match="comes twice"):
        write_archive(tmp_path / "one.zip", [("a", b""), ("a", b"")])
    assert not (tmp_path / "one.zip").exists()


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_cut_jpeg_keeps_its_coding_and_nearly_its_pixels(mode, subsampling):
    content = encoded(smooth().convert(mode), "JPEG", quality=80, subsampling=subsampling)
    cut = crop_bottom(content, 20)
    with Image.open(io.BytesIO(content)) as before, Image.open(io.BytesIO(cut)) as after:
        assert after.mode == mode
        assert after.quantization == before.quantization
        sampling = JpegImagePlugin.get_sampling
        assert sampling(after) == sampling(before)
    whole, kept = decode(content).image.crop((0, 0, 64, 40)), decode(cut).image
    # The brightness of each block is coded by the same steps and comes out as it went in. Colours
    # are averaged once more where they are subsampled: by 0.9 of 255 in this motley picture.
    # At Pillow's own quality of 75 the differences are 0.5 and 1.8.
    assert difference(whole.convert("L"), kept.convert("L")) < 0.01
    assert difference(whole, kept) < 1


def test_a_cut_png_keeps_its_pixels():
    content = encoded(smooth())
    assert np.array_equal(
        np.asarray(decode(crop_bottom(content, 20)).image), np.asarray(decode(content).image)[:-20]
    )


def test_the_bottom_is_that_of_the_upright_picture():
    exif = Image.Exif()
    exif[0x0112] = 3  # stored upside down
    stored = Image.new("RGB", (16, 48), "red")
    stored.paste((0, 0, 255), (0, 0, 16, 16))  # the bottom third, when upright
    cut = decode(crop_bottom(encoded(stored, "JPEG", exif=exif, quality=95), 16))
    assert cut.image.size == (16, 32)
    assert cut.oddities == ()
    assert np.asarray(cut.image)[:, :, 2].max() < 60


def test_a_cut_that_leaves_nothing_is_refused():
    with pytest.raises(ValueError, match="20 rows cannot be cut from an image of 24"):
        crop_bottom(encoded(Image.new("RGB", (16, 24))), 20)


def test_no_other_module_opens_images(repository):
    """So that training, evaluation and serving see the same pixels of a file."""
    rooms = ("finer1", "tasks", "flows")
    paths = [path for room in rooms for path in (repository / room).rglob("*.py")]
    texts = {path: path.read_text(encoding="utf-8") for path in paths}
    openers = {
        path.relative_to(repository).as_posix()
        for path, text in texts.items()
        if "PIL" in text
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute)
        and node.attr == "open"
        and ast.unparse(node.value) in ("Image", "PIL.Image")
    }
    # The second reads back pictures that it wrote.
    assert openers == {"finer1/images.py", "tasks/tracking/pictures.py"}
