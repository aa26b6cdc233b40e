"""Images inside the page: small, deterministic data URIs."""

import base64
import io
from collections.abc import Mapping

from PIL import Image

from finer1.images import ImageArchive
from finer1.records import ImageRecord

LARGEST_SIDE = 320
DRAWN_SIDE = 96


def picture_uri(image: Image.Image, largest_side: int = LARGEST_SIDE) -> str:
    """A data URI of the image, at most `largest_side` pixels a side.

    Up to DRAWN_SIDE it stays a lossless PNG of its own size; photographs become JPEG.
    """
    copy = image.convert("RGB")  # a new image without metadata, which would travel along
    copy.info = {}
    copy.thumbnail((largest_side, largest_side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    if max(copy.size) <= DRAWN_SIDE:
        copy.save(buffer, "PNG", optimize=True)
        kind = "png"
    else:
        copy.save(buffer, "JPEG", quality=80, optimize=True)
        kind = "jpeg"
    return encode_uri(buffer.getvalue(), kind)


def encode_uri(content: bytes, kind: str) -> str:
    """A data URI of the content of an image file; kind: png or jpeg."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


class Pictures:
    """The data URI of an image by its id, each encoded once."""

    def __init__(self, archive: ImageArchive, images: Mapping[str, ImageRecord]) -> None:
        self._archive = archive
        self._images = images
        self._uris: dict[str, str] = {}

    def uri(self, image_id: str) -> str:
        """See picture_uri. Raises ValueError when the index has no such image."""
        if image_id not in self._images:
            raise ValueError(f"{image_id} is not an image of the splits file; run split again")
        if image_id not in self._uris:
            self._uris[image_id] = picture_uri(self._archive.read(image_id))
        return self._uris[image_id]
