"""Files that are whole or absent, and hashes of their content."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
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


def sha256_folder(root: Path, hash_of: Callable[[str], str] | None = None) -> str:
    """Hex SHA-256 over relative names and contents of all files below `root`.

    Independent of where the folder lies, of time stamps and of the order of directory entries.
    hash_of: gives the SHA-256 of the file at a path, perhaps without reading it.
    Raises ValueError when `root` is no folder or holds no file, or when something in it may not
    be read.
    """
    if not root.is_dir():
        raise ValueError(f"{root} is not a folder")
    digest = hashlib.sha256()
    count = 0
    try:
        for parts in sorted(_files(str(root))):
            path = os.path.join(root, *parts)
            found = hash_of(path) if hash_of else sha256_file(Path(path))
            digest.update(f"{'/'.join(parts)}\0{found}\n".encode())
            count += 1
    except PermissionError as error:
        raise ValueError(f"{error.filename} may not be read; change its permissions") from error
    if not count:
        raise ValueError(f"{root} holds no file")
    return digest.hexdigest()


def _files(root: str) -> Iterator[list[str]]:
    """The parts of each file's path below `root`; in strings, for tens of thousands of files."""
    # Path.rglob passes over folders that it may not read.
    for folder, _, names in os.walk(root, onerror=_raise):
        above = [] if folder == root else os.path.relpath(folder, root).split(os.sep)
        for name in names:
            path = os.path.join(folder, name)
            # os.path.isfile is false for what may not be looked at, where Path.is_file raises.
            if os.path.isfile(path) or Path(path).is_file():
                yield [*above, name]


def _raise(error: OSError) -> None:
    raise error
