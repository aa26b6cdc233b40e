"""The image archive of a run, and the one decoder for training, evaluation and serving."""

import io
import zipfile
from collections.abc import Iterable
from pathlib import Path

from PIL import Image, ImageOps

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
MAX_PIXELS = 50_000_000
MIN_SIDE = 8


def decode_image(content: bytes, name: str) -> Image.Image:
    """The RGB image in `content`, upright; metadata stays in `.info`.

    16-bit grey is scaled to 8 bits and transparency is laid on white (Pillow's own conversions
    give white and arbitrary colours). Raises ValueError naming the image when it is unreadable,
    of another format than FORMATS, larger than MAX_PIXELS or thinner than MIN_SIDE.
    """
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"{image.width} x {image.height} pixels are too many")
            image.load()  # verify() passes truncated files
            info = dict(image.info)
            upright = ImageOps.exif_transpose(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{name}: not a readable image ({error})") from error
    if min(upright.size) < MIN_SIDE:
        raise ValueError(f"{name}: {upright.width} x {upright.height} pixels are too few")
    rgb = _to_rgb(upright)
    rgb.info = info
    return rgb


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return image.convert("I").point(lambda value: value / 256).convert("L").convert("RGB")
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")


def write_archive(path: Path, members: Iterable[tuple[str, bytes]]) -> None:
    """Write (member, content) pairs as an uncompressed zip; equal input gives equal bytes.

    Raises ValueError when two members have the same name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    names: set[str] = set()
    with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
        for member, content in members:
            if member in names:
                raise ValueError(f"{member} comes twice in the dataset")
            names.add(member)
            # A fixed date: the zip's own time stamps would make every archive differ.
            archive.writestr(zipfile.ZipInfo(member, (1980, 1, 1, 0, 0, 0)), content)
    part.replace(path)


class ImageArchive:
    """Open archive of a run's images; reads by member name."""

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path)

    def read(self, member: str) -> Image.Image:
        """The decoded RGB image (see decode_image)."""
        return decode_image(self._zip.read(member), member)

    def read_bytes(self, member: str) -> bytes:
        """The image file as it came from its source."""
        return self._zip.read(member)
