"""Paths that a table names: files inside one folder, and nothing else."""

import os
import re
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from finer1.inspection.findings import shown
from finer1.inspection.names import control_character
from finer1.own.names import is_text

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_LONGEST_NAME, _LONGEST_PATH = 255, 4095
"""Bytes that Linux takes for a name and for a path."""


def path_problem(name: str) -> str | None:
    """What makes a name no relative path downwards; None when it is one.

    It is judged as it stands and with %2e and the like decoded, as some reader may do later.
    """
    if not is_text(name):
        return "holds characters that are no text"
    for text in (name, unquote(name)):
        if not text.strip() or "\0" in text:
            return "is empty or holds a NUL character"
        if hidden := control_character(text):
            return f"holds the control character {hidden}"
        if _SCHEME.match(text) or "::" in text:
            return "names a scheme or a drive"
        if "\\" in text:
            return "holds a backslash; write / between folders"
        if text.startswith("/"):
            return "is an absolute path"
        if ".." in PurePosixPath(text).parts:
            return "holds .."
    sizes = [len(part.encode()) for part in PurePosixPath(name).parts]
    if max(sizes, default=0) > _LONGEST_NAME or len(name.encode()) > _LONGEST_PATH:
        return "is longer than a file's name can be"
    return None


def checked_path(root: Path, folder: Path, name: str) -> Path:
    """The file `name` in `folder`, which is `root` or lies in it; `root` is resolved.

    Raises ValueError with what is wrong about the name, or when it is no file inside the root.
    """
    if problem := path_problem(name):
        raise ValueError(problem)
    path = folder / name
    real = Path(os.path.realpath(path))
    if not real.is_relative_to(root):
        raise ValueError(f"is a link that leads out of {shown(root)}")
    if not os.path.isfile(real):
        raise ValueError(f"is no file; looked for {shown(path)}")
    return path
