"""Odd and broken image files, each with the right pixels or the sentence that refuses it."""

import io
import struct
import zlib

import numpy as np
from PIL import Image, PngImagePlugin

RED, GREEN = (200, 30, 40), (20, 180, 60)


def encoded(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def flat(mode="RGB", colour=RED, size=(16, 12)):
    return Image.new(mode, size, colour)


def noise(size=(64, 48)):
    shape = (size[1], size[0], 3)
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8))


def png(width, height, depth, colour_type, rows, *chunks):
    """A PNG of raw rows, for what Pillow cannot write."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = ((b"IHDR", header), *chunks, (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )


def without_adobe_marker(jpeg):
    at = jpeg.index(b"\xff\xee")
    return jpeg[:at] + jpeg[at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big") :]


def as_ycck(cmyk_jpeg):
    """The same numbers, said to be YCCK: the last byte of Adobe's marker is 2."""
    at = cmyk_jpeg.index(b"Adobe") + 11
    return cmyk_jpeg[:at] + b"\2" + cmyk_jpeg[at + 1 :]


def oriented(orientation, image, kind="PNG"):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(image, kind, exif=exif)


def with_texts(*texts, **options):
    info = PngImagePlugin.PngInfo()
    for name, text in texts:
        info.add_text(name, text, **options)
    return encoded(flat(), pnginfo=info)


def webp_of(width, height):
    """Two small frames on a canvas of that size, which is all that the format asks for."""
    frames = [flat(), flat(colour=GREEN)]
    content = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    at = content.index(b"VP8X") + 12
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return content[:at] + canvas + content[at + 6 :]


def jpeg_of(width, height):
    content = encoded(flat(), "JPEG")
    at = content.index(b"\xff\xc0") + 5
    return content[:at] + struct.pack(">HH", height, width) + content[at + 4 :]


def bmp_of(width, height):
    content = encoded(flat(), "BMP")
    return content[:18] + struct.pack("<ii", width, height) + content[26:]


def gif_of(width, height):
    content = encoded(flat(), "GIF")
    return content[:6] + struct.pack("<HH", width, height) + content[10:]


def with_scans(number):
    """A progressive JPEG whose last scan comes that many times."""
    content = encoded(noise(), "JPEG", progressive=True)
    last = content.rindex(b"\xff\xda")
    return content[:last] + content[last:-2] * number + content[-2:]


def with_hidden_scans(number):
    """The same behind a marker that has no length, so that what follows is none."""
    content = with_scans(number)
    second = content.index(b"\xff\xda", content.index(b"\xff\xda") + 2)
    return content[:second] + b"\xff\x01" + content[second:]


def half(content):
    return content[: len(content) // 2]


CLEAR_RED = (255, 0, 0, 0)
GREY_PALETTE = flat("P", 3)
GREY_PALETTE.putpalette([v for i in range(256) for v in (i, 2 * i % 256, 90)])
FRAMES = {"save_all": True, "append_images": [flat(colour=GREEN)]}
SIXTEEN = struct.pack(">HHH", 0x8000, 0x40FF, 0xFFFF)

READABLE = {
    # name: (content, colour, most that a channel may differ, oddities)
    "jpeg": (encoded(flat(), "JPEG"), RED, 3, ()),
    "progressive jpeg": (encoded(flat(), "JPEG", progressive=True), RED, 3, ()),
    "grey jpeg": (encoded(flat("L", 77), "JPEG"), (77, 77, 77), 1, ("grey",)),
    # Adobe writes CMYK inverted; (0, 255, 255, 0) is no cyan, all magenta and yellow: red.
    "adobe cmyk": (encoded(flat("CMYK", (0, 255, 255, 0)), "JPEG"), (255, 0, 0), 2, ("CMYK",)),
    # Without the marker the same numbers are not inverted: (255, 0, 0, 255) is cyan and black.
    "plain cmyk": (
        without_adobe_marker(encoded(flat("CMYK", (255, 40, 40, 155)), "JPEG")),
        # stored 0, 215, 215, 100; R = 155 x (1 - 0), G = B = 155 x (1 - 215/255) = 24
        (155, 24, 24),
        3,
        ("CMYK",),
    ),
    # Stored (inverted) Y 255, Cb 128, Cr 128, K 255: white, whose ink is none.
    "ycck": (as_ycck(encoded(flat("CMYK", (0, 127, 127, 0)), "JPEG")), (0, 0, 0), 3, ("CMYK",)),
    "1-bit png": (encoded(flat("1", 1)), (255, 255, 255), 0, ("1-bit",)),
    "palette png": (encoded(GREY_PALETTE), (3, 6, 90), 0, ("palette",)),
    "palette png, clear": (
        encoded(GREY_PALETTE, transparency=3),
        (255, 255, 255),
        0,
        ("palette", "transparency"),
    ),
    "grey png, clear": (
        encoded(flat("L", 9), transparency=9),
        (255, 255, 255),
        0,
        ("grey", "transparency"),
    ),
    "rgb png, clear": (
        encoded(flat(), transparency=RED),
        (255, 255, 255),
        0,
        ("transparency",),
    ),
    "la png": (encoded(flat("LA", (0, 0))), (255, 255, 255), 0, ("grey", "transparency")),
    "rgba png": (encoded(flat("RGBA", CLEAR_RED)), (255, 255, 255), 0, ("transparency",)),
    # Half of red on white: 255, (0 + 255) / 2.
    "rgba png, half clear": (
        encoded(flat("RGBA", (255, 0, 0, 128))),
        (255, 127, 127),
        1,
        ("transparency",),
    ),
    # 32768 of 65535 is 128 of 255; Pillow's own conversion gives white.
    "16-bit grey png": (
        encoded(Image.fromarray(np.full((12, 16), 32768, np.uint16))),
        (128, 128, 128),
        0,
        ("16-bit", "grey"),
    ),
    "16-bit rgb png": (png(16, 12, 16, 2, [SIXTEEN * 16] * 12), (128, 64, 255), 0, ("16-bit",)),
    "16-bit rgba png": (
        png(16, 12, 16, 6, [(SIXTEEN + b"\0\0") * 16] * 12),
        (255, 255, 255),
        0,
        ("16-bit", "transparency"),
    ),
    "2-bit grey png": (png(16, 12, 2, 0, [b"\xaa" * 4] * 12), (170, 170, 170), 0, ("grey",)),
    "gif": (encoded(flat(), "GIF"), RED, 0, ()),
    "gif of frames": (encoded(flat(), "GIF", **FRAMES), RED, 0, ("several frames",)),
    "gif, clear": (
        encoded(GREY_PALETTE, "GIF", transparency=3),
        (255, 255, 255),
        0,
        ("transparency",),
    ),
    "webp": (encoded(flat(), "WEBP", lossless=True), RED, 0, ()),
    "webp of frames": (
        encoded(flat(), "WEBP", lossless=True, **FRAMES),
        RED,
        0,
        ("several frames",),
    ),
    "webp, clear": (
        encoded(flat("RGBA", CLEAR_RED), "WEBP", lossless=True),
        (255, 255, 255),
        0,
        ("transparency",),
    ),
    "animated png": (encoded(flat(), **FRAMES), RED, 0, ("several frames",)),
    "two pictures of a phone": (encoded(flat(), "MPO", **FRAMES), RED, 3, ("several frames",)),
    "bmp": (encoded(flat(), "BMP"), RED, 0, ()),
    "palette bmp": (encoded(GREY_PALETTE, "BMP"), (3, 6, 90), 0, ("palette",)),
    "colour profile": (encoded(flat(), icc_profile=b"\0" * 900), RED, 0, ()),
    "1 MB of metadata": (
        encoded(flat(), "JPEG", comment=b"x" * 60_000) + b"x" * 1_000_000,
        RED,
        3,
        (),
    ),
    "broken exif": (encoded(flat(), "JPEG", exif=b"Exif\0\0MM\0*\0"), RED, 3, ()),
    "exif of orientation 77": (oriented(77, flat()), RED, 0, ()),
    "xmp as a text": (with_texts(("xmp", "tiff:Orientation=6")), RED, 0, ()),
    "a phone's jpeg with a film": (encoded(flat(), "JPEG") + b"\xff\xda" * 999, RED, 3, ()),
    "jpeg with a thumbnail": (
        encoded(flat(), "JPEG", comment=b"\xff\xda" * 999),
        RED,
        3,
        (),
    ),
    "jpeg cut in its trailer": (encoded(flat(), "JPEG") + b"\0" * 99, RED, 3, ()),
}

UNREADABLE = {
    # name: (content, pattern)
    "empty": (b"", "it is an empty file; accepted are JPEG, PNG, WEBP, GIF, BMP"),
    "zero bytes": (b"\0" * 500, "it is nothing but zero bytes"),
    "web page": (b"\n<!DOCTYPE html><html>not found</html>", "it is a web page"),
    "svg": (b'<?xml version="1.0"?>\n<svg xmlns="x"/>', "it is an SVG drawing"),
    "eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "it is a PostScript file"),
    "tiff": (encoded(flat(), "TIFF"), "it is a TIFF file"),
    "float tiff": (encoded(Image.new("F", (16, 12)), "TIFF"), "it is a TIFF file"),
    "pdf": (b"%PDF-1.7\n", "it is a PDF file"),
    "heic": (b"\0\0\0\x18ftypheic\0\0\0\0", "it is a HEIC or AVIF file"),
    "jpeg 2000": (b"\0\0\0\x0cjP  \r\n\x87\n", "it is a JPEG 2000 file"),
    "lfs pointer": (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
    "text": (b"bird,1\n", "unknown or damaged content"),
    "jpeg cut by 2": (encoded(noise(), "JPEG")[:-2], "truncated"),
    "jpeg cut in half": (half(encoded(noise(), "JPEG")), "truncated"),
    "jpeg cut in its header": (encoded(noise(), "JPEG")[:60], "not a readable image"),
    "jpeg of 110 scans": (with_scans(101), "more than 100 scans are too many"),
    "jpeg of hidden scans": (with_hidden_scans(101), "more than 100 scans are too many"),
    "progressive jpeg cut": (half(encoded(noise(), "JPEG", progressive=True)), "truncated"),
    "png cut in half": (half(encoded(noise())), "truncated"),
    "gif cut in half": (half(encoded(noise(), "GIF")), "truncated"),
    "webp cut in half": (half(encoded(noise(), "WEBP")), "not a readable image"),
    "bmp cut in half": (half(encoded(noise(), "BMP")), "truncated"),
    "png with a broken header": (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "not a readable image"),
    "png bomb": (png(30_000, 30_000, 1, 0, []), "not a readable image"),
    "png of 54 million pixels": (png(9_000, 6_000, 1, 0, []), "9000 x 6000 pixels are too many"),
    "png with a bomb of text": (with_texts(("a", "x" * 9_000_000), zip=True), "too large"),
    "jpeg bomb": (jpeg_of(65_500, 65_500), "not a readable image"),
    "webp bomb": (webp_of(16_000, 16_000), "not a readable image"),
    "webp of 64 million pixels": (webp_of(8_000, 8_000), "8000 x 8000 pixels are too many"),
    "gif bomb": (gif_of(60_000, 60_000), "not a readable image"),
    "bmp bomb": (bmp_of(40_000, 40_000), "not a readable image"),
    "1 x 1": (encoded(flat(size=(1, 1))), "1 x 1 pixels are too few"),
    "4000 x 2": (encoded(flat(size=(4000, 2))), "4000 x 2 pixels are too few"),
    "4000 x 10": (encoded(flat(size=(4000, 10))), "4000 x 10 pixels are too long a strip"),
}
BOMBS = [name for name in UNREADABLE if "bomb" in name or "million" in name]
