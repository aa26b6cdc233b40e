"""Images as requests carry them."""

import base64
import binascii

from PIL import Image

from finer1.images import decode_image

_LONGEST = 28_000_000
"""Characters of base64 that are looked at: 20 MB of image."""


def decode_base64(text: str) -> Image.Image:
    """The RGB image in base64 text, with or without `data:...;base64,` before it.

    Raises ValueError when it is no such text, or no image that may be shown to a model.
    """
    _, _, after = text.rpartition(";base64,")
    if len(after) > _LONGEST:
        raise ValueError(f"image: {len(after)} characters are too many; send at most {_LONGEST}")
    try:
        content = base64.b64decode(after, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"image: not base64 ({error}); send the file's bytes as base64") from error
    return decode_image(content, "image")
