"""Names in a user's own images: of sides and of sub-categories."""

import unicodedata

from finer1.datasets.interface import Side
from finer1.inspection.names import unusable

SIDES: dict[str, Side] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
"""What a folder or a cell that stands for a side may be called, in lower case."""

_SEPARATORS = frozenset(",;<>\n\t")
"""Would end a name in the options of a rationale."""


def clean_name(name: str) -> str:
    """A name as it is to be answered: NFC, with "_" read as a space, single spaces."""
    return " ".join(unicodedata.normalize("NFC", name).replace("_", " ").split())


def name_problem(name: str) -> str | None:
    """What makes a clean name of a category, class or group unusable; None when nothing does."""
    if not is_text(name):
        return "holds characters that are no text"
    if _SEPARATORS & set(name):
        return "holds a comma, semicolon or angle bracket"
    why = unusable(name)
    return None if why is None else why.removeprefix("it ")


def is_text(name: str) -> bool:
    """False for what UTF-8 cannot hold: a file's name in another encoding, half a character."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
