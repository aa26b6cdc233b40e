"""A cell is one corruption at one severity; ids of questions and images carry it at their end."""

Cell = tuple[str, int]
"""Corruption and severity."""

CLEAN: Cell = ("none", 0)
"""The image as it is."""


def corrupted_id(key: str, cell: Cell) -> str:
    """The id of a question about the copy of an image, or of the copy: `<id>#fog/3`."""
    return f"{key}#{cell[0]}/{cell[1]}"


def split_id(corrupted: str) -> tuple[str, Cell]:
    """The id without its cell, and the cell; raises ValueError when it carries none."""
    key, mark, cell = corrupted.rpartition("#")
    corruption, _, severity = cell.partition("/")
    if not (mark and key and corruption and severity.isdecimal()):
        raise ValueError(f"{corrupted!r} is no <id>#<corruption>/<severity>")
    return key, (corruption, int(severity))
