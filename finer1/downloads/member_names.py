"""Names inside archives: which are refused, and which would fall on one file.

The rules are those of the strictest file system that a dataset may be copied to.
"""

import unicodedata

MAX_NAME = 255
"""Bytes of one part of a path: ext4, APFS and NTFS have this limit."""
_MAX_PATH = 1024
_MAX_DEPTH = 32
_RESERVED = frozenset(
    ["CON", "PRN", "AUX", "NUL", *(f"{d}{n}" for d in ("COM", "LPT") for n in range(1, 10))]
)
"""Devices under Windows, with any ending."""


def safe_parts(name: str) -> tuple[str, ...]:
    """The parts of a member's name below the root; none for the root itself ("./").

    Raises ValueError for a name that leaves the root, or that some file system cannot hold.
    """
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):
        raise ValueError("the name holds a control character, or is not UTF-8")
    if "\\" in name or ":" in name:
        raise ValueError("the name holds a backslash or a colon")
    if name.startswith("/"):
        raise ValueError("the name begins at the root of the file system")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if len(name.encode()) > _MAX_PATH or len(parts) > _MAX_DEPTH:
        raise ValueError(f"the name has over {_MAX_PATH} bytes or {_MAX_DEPTH} folders")
    for part in parts:
        if part == "..":
            raise ValueError("the name leads out of the archive")
        if len(part.encode()) > MAX_NAME:
            raise ValueError(f"a part of the name has more than {MAX_NAME} bytes")
        if part.split(".")[0].rstrip().upper() in _RESERVED or part.endswith((".", " ")):
            raise ValueError("the name is a device, or ends in a dot or space, under Windows")
    return parts


class Names:
    """The names of an archive so far; refuses those that are there, or differ by case alone."""

    def __init__(self) -> None:
        self._taken: dict[str, tuple[str, bool]] = {}

    def add(self, parts: tuple[str, ...], is_folder: bool) -> None:
        """Enter a member and the folders it lies in; a folder may come again, a file not.

        Raises ValueError for a second file, a file in the place of a folder, or a name that is
        another one after NFC and case folding.
        """
        if not parts and not is_folder:
            raise ValueError("the file has no name")
        for depth in range(1, len(parts) + 1):
            path = "/".join(parts[:depth])
            entry = (path, is_folder or depth < len(parts))
            known = self._taken.setdefault(_folded(path), entry)
            if known[0] != path:
                raise ValueError(f"differs from {known[0]!r} by case or accents' coding alone")
            if known is not entry and not (known[1] and entry[1]):
                raise ValueError("the name is there twice")


def _folded(path: str) -> str:
    folded = unicodedata.normalize("NFC", path).casefold()
    return unicodedata.normalize("NFC", folded)
