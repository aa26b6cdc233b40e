"""The image archives of a run, and the one decoder for training, evaluation and serving."""

import io
import re
import struct
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageChops, ImageFile, JpegImagePlugin

from finer1 import faults
from finer1.files import new_file

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
MAX_PIXELS = 50_000_000
MIN_SIDE = 8
MAX_ASPECT = 200
"""Longer side over shorter one; Qwen2.5-VL's image processor raises beyond it."""
MAX_SCANS = 100
"""Passes of a progressive JPEG over its picture; programs write about ten. Each costs as much as a
whole picture, and an empty one 75 bytes: a file of 300 kB can keep the decoder busy for hours."""

_MARKER = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]", re.DOTALL)
"""Of a JPEG; 00 and the restarts d0 to d7 stand in coded data. All but three have a length."""
_TEMPORARY, _START_OF_IMAGE, _END_OF_IMAGE, _START_OF_SCAN = 0x01, 0xD8, 0xD9, 0xDA

_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
"""What Pillow raises on damaged files, as mutating files of all FORMATS has shown."""

_OTHER_CONTENT = (
    (rb"\s*<(!doctype html|html|head|body)", "a web page"),
    (rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?(<!doctype svg[^>]*>\s*)?<svg", "an SVG drawing"),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "a PostScript file"),
    (rb"%PDF", "a PDF file"),
    (rb"II[*+]\0|MM\0[*+]", "a TIFF file"),
    (rb"....ftyp(heic|heix|mif1|avif)", "a HEIC or AVIF file"),
    (rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  ", "a JPEG 2000 file"),
    (rb"PK\x03\x04", "a zip archive"),
    (rb"version https://git-lfs", "a Git LFS pointer instead of the file"),
    (rb"\Z", "an empty file"),
    (rb"\0+\Z", "nothing but zero bytes"),
)
"""Pattern at the start of the content -> what it is."""

_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> what sets the picture upright."""


@dataclass(frozen=True)
class Decoded:
    """A picture and what its file is like."""

    image: Image.Image
    """RGB, upright."""
    format: str
    """One of FORMATS."""
    oddities: tuple[str, ...]
    """What a plain photograph is not: CMYK, 16-bit, 1-bit, grey, palette, transparency, EXIF
    rotation, several frames."""


def decode_image(content: bytes, name: str) -> Image.Image:
    """The RGB image in `content`, upright; see decode. Raises ValueError naming the image."""
    try:
        return decode(content).image
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def decode(content: bytes) -> Decoded:
    """The first picture in `content`, all of it decoded, whatever the name of its file.

    16-bit grey is scaled to 8 bits and transparency is laid on white (Pillow's own conversions
    give white and arbitrary colours); CMYK is inverted only where Adobe wrote it; colour profiles
    are not applied. Of the metadata only a PNG's texts stay, in `.info`: an EXIF orientation that
    stayed would turn the picture a second time in whatever reads it next. Raises ValueError when
    it is unreadable, of another format than FORMATS, larger than MAX_PIXELS, thinner than MIN_SIDE
    or longer than MAX_ASPECT.
    """
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.format in ("JPEG", "MPO"):
                _check_scans(content)
            return _decode(image)
    except _DAMAGE as error:
        raise ValueError(f"not a readable image ({_reason(content, error)})") from error


def _decode(image: ImageFile.ImageFile) -> Decoded:
    _check_size(*image.size)
    # Asked before the pixels are read, since both look for them anew; frames are not counted,
    # which would mean to read all of them.
    is_animated = bool(getattr(image, "is_animated", False))
    is_deep = any(";16" in str(tile.args) for tile in image.tile)
    image.load()  # verify() passes truncated files
    kind = "JPEG" if image.format == "MPO" else str(image.format)
    turn = _upright_turn(image)
    oddities = {
        "CMYK": image.mode == "CMYK",
        "16-bit": is_deep,
        "1-bit": image.mode == "1",
        "grey": image.mode in ("L", "LA") or image.mode.startswith("I"),
        "palette": image.mode in ("P", "PA") and kind != "GIF",
        "transparency": _is_transparent(image),
        "EXIF rotation": turn is not None,
        "several frames": is_animated,
    }
    rgb = _to_rgb(image if turn is None else image.transpose(turn))
    rgb.info = {k: v for k, v in getattr(image, "text", {}).items() if k not in _ORIENTED}
    return Decoded(rgb, kind, tuple(oddity for oddity, is_so in oddities.items() if is_so))


_ORIENTED = ("XML:com.adobe.xmp", "Raw profile type exif")
"""Texts of a PNG that may hold an orientation."""


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise ValueError(f"{width} x {height} pixels are too many")
    if min(width, height) < MIN_SIDE:
        raise ValueError(f"{width} x {height} pixels are too few")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise ValueError(f"{width} x {height} pixels are too long a strip")


def _check_scans(content: bytes) -> None:
    """Raises ValueError for a JPEG of more than MAX_SCANS; what follows its end does not count."""
    place = num_scans = 0
    while found := _MARKER.search(content, place):
        kind, place = found[0][-1], found.end()
        if kind == _END_OF_IMAGE:
            break
        if kind not in (_START_OF_IMAGE, _TEMPORARY):
            place += int.from_bytes(content[place : place + 2])
        num_scans += kind == _START_OF_SCAN
        if num_scans > MAX_SCANS:
            raise ValueError(f"more than {MAX_SCANS} scans are too many")


def _upright_turn(image: Image.Image) -> Image.Transpose | None:
    """What sets the picture upright; None where it is, or where the EXIF data are broken."""
    try:
        orientation = image.getexif().get(0x0112)
    except (*_DAMAGE, TypeError):  # TypeError: a PNG text where XMP belongs
        return None
    return _TRANSPOSITIONS.get(orientation) if isinstance(orientation, int) else None


def _is_transparent(image: Image.Image) -> bool:
    return image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info


def _to_rgb(image: Image.Image) -> Image.Image:
    """Every mode that FORMATS give: 1, L, P, RGB, CMYK, LA, PA, RGBA, I;16."""
    if image.mode.startswith("I"):
        return image.convert("I").point(lambda value: value / 256).convert("L").convert("RGB")
    if _is_transparent(image):
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    if image.mode == "CMYK" and "adobe" not in image.info:
        image = ImageChops.invert(image)  # Pillow takes every CMYK JPEG for Adobe's inverted one
    return image.convert("RGB")


def _reason(content: bytes, error: Exception) -> str:
    """What is wrong, without the address that Pillow writes into its sentence."""
    for pattern, what in _OTHER_CONTENT:
        if re.match(pattern, content, re.IGNORECASE | re.DOTALL):
            return f"it is {what}; accepted are {', '.join(FORMATS)}"
    if isinstance(error, Image.UnidentifiedImageError):
        return f"unknown or damaged content; accepted are {', '.join(FORMATS)}"
    return str(error) or type(error).__name__


def crop_bottom(content: bytes, rows: int) -> bytes:
    """The image file without its lowest rows; metadata other than the colour profile is dropped.

    A JPEG is written with its own quantization tables and subsampling, so that its blocks, which
    begin at the top left, come out almost as they were; other formats become PNG. Raises
    ValueError as decode does, and when fewer than MIN_SIDE rows would stay.
    """
    decoded = decode(content)
    width, height = decoded.image.width, decoded.image.height - rows
    if height < MIN_SIDE:
        raise ValueError(f"{rows} rows cannot be cut from an image of {decoded.image.height}")
    box = (0, 0, width, height)
    file = io.BytesIO()
    if decoded.format != "JPEG":
        decoded.image.crop(box).save(file, "PNG")
        return file.getvalue()
    with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
        upright = "EXIF rotation" not in decoded.oddities and image.mode in ("L", "RGB")
        (image if upright else decoded.image).crop(box).save(
            file,
            "JPEG",
            qtables=image.quantization,  # type: ignore[attr-defined]
            subsampling=JpegImagePlugin.get_sampling(image),
            icc_profile=image.info.get("icc_profile") if upright else None,
        )
    return file.getvalue()


def write_archive(path: Path, members: Iterable[tuple[str, bytes]]) -> None:
    """Write (member, content) pairs as an uncompressed zip; equal input gives equal bytes.

    Raises ValueError when two members have the same name.
    """
    names: set[str] = set()
    with new_file(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
        for member, content in members:
            if member in names:
                raise ValueError(f"{member} comes twice in the dataset")
            names.add(member)
            # A fixed date: the zip's own time stamps would make every archive differ.
            faults.point("archive:member")
            archive.writestr(zipfile.ZipInfo(member, (1980, 1, 1, 0, 0, 0)), content)


class ImageArchive:
    """The images of a run: a folder with an archive per dataset, read by image id."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._zips: dict[str, zipfile.ZipFile] = {}

    def read(self, image_id: str) -> Image.Image:
        """The decoded RGB image (see decode_image)."""
        return decode_image(self.read_bytes(image_id), image_id)

    def read_bytes(self, image_id: str) -> bytes:
        """The image file as it came from its source."""
        dataset, _, path = image_id.partition("/")
        if dataset not in self._zips:
            self._zips[dataset] = zipfile.ZipFile(self._folder / f"{dataset}.zip")
        return self._zips[dataset].read(path)
