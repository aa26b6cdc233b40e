import io
import zlib

import numpy as np
import pytest
from PIL import Image

from finer1.images import ImageArchive, decode_image, write_archive


def encoded(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def test_sixteen_bit_grey_keeps_its_shades():
    # Half of 65535 is half of 255; Pillow's own conversion gives white.
    grey = Image.fromarray(np.full((16, 16), 32768, dtype=np.uint16))
    assert decode_image(encoded(grey), "a").getpixel((0, 0)) == (128, 128, 128)


def test_transparent_pixels_become_white():
    clear = Image.new("RGBA", (16, 16), (255, 0, 0, 0))
    assert decode_image(encoded(clear), "a").getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "RGB"])
def test_every_common_mode_becomes_rgb(mode):
    kind = "JPEG" if mode == "CMYK" else "PNG"
    assert decode_image(encoded(Image.new(mode, (16, 12)), kind), "a").mode == "RGB"


def test_the_content_counts_not_the_name():
    assert decode_image(encoded(Image.new("RGB", (9, 9)), "GIF"), "photo.jpg").size == (9, 9)


def test_a_rotated_photo_is_set_upright():
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn by 90 degrees
    content = encoded(Image.new("RGB", (20, 10)), "JPEG", exif=exif)
    assert decode_image(content, "a").size == (10, 20)


@pytest.mark.parametrize("cut", [2, 100, 500])
def test_a_truncated_jpeg_is_refused_by_name(cut):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    with pytest.raises(ValueError, match="bird/7.jpg"):
        decode_image(encoded(noise, "JPEG")[:-cut], "bird/7.jpg")


@pytest.mark.parametrize("content", [b"", b"\0" * 500, b"<html>not found</html>"])
def test_what_is_no_image_is_refused(content):
    with pytest.raises(ValueError, match="not a readable image"):
        decode_image(content, "a")


def test_a_png_cut_in_its_header_is_refused_by_name():
    # Signature 8, length and type 8, then 9 of the 13 bytes of IHDR: Pillow's own ValueError.
    content = encoded(Image.new("RGB", (16, 16)))
    header = content[:8] + (9).to_bytes(4, "big") + content[12:25]
    crc = zlib.crc32(header[12:]).to_bytes(4, "big")
    with pytest.raises(ValueError, match=r"bird/7.png: not a readable image \(Truncated IHDR"):
        decode_image(header + crc + content[33:], "bird/7.png")


def test_an_image_of_too_many_pixels_is_refused_by_name():
    with pytest.raises(ValueError, match=r"bird/7.png: .*8000 x 7000 pixels are too many"):
        decode_image(encoded(Image.new("1", (8000, 7000))), "bird/7.png")


def test_a_sliver_is_refused():
    with pytest.raises(ValueError, match="too few"):
        decode_image(encoded(Image.new("RGB", (400, 2))), "a")


def test_metadata_of_a_png_survives_decoding():
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("label", "wren")
    content = encoded(Image.new("RGB", (16, 16)), pnginfo=info)
    assert decode_image(content, "a").info["label"] == "wren"


def test_equal_members_give_equal_archives_that_read_back(tmp_path):
    members = [("a/1.png", encoded(Image.new("RGB", (16, 16), "red"))), ("a/2.png", b"x")]
    write_archive(tmp_path / "one.zip", members)
    write_archive(tmp_path / "two.zip", members)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    archive = ImageArchive(tmp_path / "one.zip")
    assert archive.read("a/1.png").getpixel((0, 0)) == (255, 0, 0)
    assert archive.read_bytes("a/2.png") == b"x"


def test_a_member_that_comes_twice_is_refused(tmp_path):
    with pytest.raises(ValueError, match="comes twice"):
        write_archive(tmp_path / "one.zip", [("a", b""), ("a", b"")])
    assert not (tmp_path / "one.zip").exists()
