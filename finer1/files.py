"""Files and folders that are whole or absent, and hashes of their content.

The one way onto a final path: write under another name, flush to disk, rename, flush the folder
that holds the name. A kill or a loss of power at any moment leaves the old content or the new one,
or, for a folder, the old one under .<name>.old until the next writer brings it back; what a kill
left under the other name is overwritten by the next writer.
"""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from finer1 import faults

_ONE_BY_ONE = 64
"""A folder of more files is flushed by one call for the whole disk, which is then faster."""
_FULL = {errno.ENOSPC, errno.EDQUOT}
_MB = 1_000_000


def write_atomic(path: Path, content: bytes) -> None:
    """Write the file `path`, whole or not at all.

    Raises OSError, with what is needed and what is free, when the disk is full.
    """
    with new_file(path, len(content)) as part, part.open("wb") as file:
        faults.point("file:write")
        file.write(content)


def write_json(path: Path, value: object) -> None:
    """Write `value` as indented JSON with sorted keys, so that equal values give equal bytes."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_atomic(path, (text + "\n").encode())


@contextmanager
def new_file(path: Path, size: int | None = None) -> Iterator[Path]:
    """The path of a file, to be written in the block, that becomes `path` when it ends well.

    size: bytes that it will have, where that is known. Raises OSError, with what is needed and
    what is free, when the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        publish_file(part, path)
    except BaseException as error:
        written = part.stat().st_size if part.exists() else 0
        part.unlink(missing_ok=True)
        if is_disk_full(error):
            raise disk_full(path, size or written) from error
        raise


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A new folder, to be filled in the block, that takes the place of `path` when it ends well.

    Write what says that the folder is complete last. A folder that is there stays until then.
    Raises OSError as new_file does.
    """
    part, _ = _beside(path)
    _settle(path)
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        publish_folder(part, path)
    except BaseException as error:
        written = sum(file.stat().st_size for file in part.rglob("*") if file.is_file())
        shutil.rmtree(part, ignore_errors=True)
        _settle(path)
        if is_disk_full(error):
            raise disk_full(path, written) from error
        raise


def publish_file(part: Path, path: Path) -> None:
    """Bring a file that is written under its final name, on disk before and after."""
    faults.point("file:sync")
    _flush(part)
    faults.point("file:rename")
    part.replace(path)
    faults.point("file:sync_folder")
    _flush(path.parent)


def publish_folder(part: Path, path: Path) -> None:
    """Bring a folder that is filled under its final name; a folder that is there goes."""
    faults.point("folder:sync")
    _flush_below(part)
    _, old = _beside(path)
    if path.exists():
        faults.point("folder:set_aside")
        path.rename(old)
    faults.point("folder:rename")
    part.rename(path)
    faults.point("folder:sync_folder")
    _flush(path.parent)
    if old.exists():
        faults.point("folder:remove_old")
        shutil.rmtree(old)


def is_disk_full(error: BaseException) -> bool:
    """True for an error that says so, also in the words of safetensors, which has no errno."""
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    return any(f"os error {code})" in str(error) for code in _FULL)


def disk_full(path: Path, needed: int) -> OSError:
    """The error that says what `path` needs, in bytes, and what is free where it lies."""
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    free = shutil.disk_usage(folder).free
    return OSError(
        errno.ENOSPC,
        f"the disk is full: {path} needs {_amount(needed)}, {_amount(free)} are free; free some "
        "space and run the same again, which goes on from what is there",
    )


def check_space(path: Path, needed: int) -> None:
    """Raise OSError when the disk has no room for `needed` bytes at `path`."""
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if shutil.disk_usage(folder).free < needed:
        raise disk_full(path, needed)


def _amount(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{-(-size // _MB)} MB"


def _beside(path: Path) -> tuple[Path, Path]:
    return path.with_name(f".{path.name}.part"), path.with_name(f".{path.name}.old")


def _settle(path: Path) -> None:
    """Undo a kill between the two renames of publish_folder, or finish after the second."""
    _, old = _beside(path)
    if old.exists() and not path.exists():
        old.rename(path)
    shutil.rmtree(old, ignore_errors=True)


def _flush_below(folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    if len(files) > _ONE_BY_ONE:
        os.sync()
        return
    for path in (*files, *(path for path in folder.rglob("*") if path.is_dir()), folder):
        _flush(path)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_folder(
    root: Path, hash_of: Callable[[str], str] | None = None, leave_out: tuple[str, ...] = ()
) -> str:
    """Hex SHA-256 over relative names and contents of all files below `root`.

    Independent of where the folder lies, of time stamps and of the order of directory entries.
    hash_of: gives the SHA-256 of the file at a path, perhaps without reading it. leave_out: names
    of files at the top that do not count.
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
            if len(parts) == 1 and parts[0] in leave_out:
                continue
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
