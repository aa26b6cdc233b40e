"""Names of files that are images."""

import os

FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".gif": "GIF",
    ".bmp": "BMP",
}
"""Suffix, in lower case -> the format that it promises."""


def is_image_name(name: str) -> bool:
    """True for a name with one of the suffixes, in any case."""
    return os.path.splitext(name)[1].lower() in FORMATS
