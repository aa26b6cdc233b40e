"""Files that are whole or absent, and hashes of their content."""

import hashlib
import json
import os
from pathlib import Path


def write_atomic(path: Path, content: bytes) -> None:
    """Write `content` under a temporary name, flush it to disk, then rename it to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def write_json(path: Path, value: object) -> None:
    """Write `value` as indented JSON with sorted keys, so that equal values give equal bytes."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_atomic(path, (text + "\n").encode())


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_folder(root: Path) -> str:
    """Hex SHA-256 over relative names and contents of all files below `root`.

    Independent of where the folder lies, of time stamps and of the order of directory entries.
    Raises ValueError when `root` is no folder or holds no file, or when something in it may not
    be read.
    """
    if not root.is_dir():
        raise ValueError(f"{root} is not a folder")
    digest = hashlib.sha256()
    try:
        # Path.rglob passes over folders that it may not read.
        walk = list(os.walk(root, onerror=_raise))
        paths = (Path(folder, name) for folder, _, names in walk for name in names)
        files = sorted(path for path in paths if path.is_file())
        for path in files:
            digest.update(f"{path.relative_to(root).as_posix()}\0{sha256_file(path)}\n".encode())
    except PermissionError as error:
        raise ValueError(f"{error.filename} may not be read; change its permissions") from error
    if not files:
        raise ValueError(f"{root} holds no file")
    return digest.hexdigest()


def _raise(error: OSError) -> None:
    raise error
