"""What was seen in image files, kept between runs.

A Look is kept by the hash of the file's content. So that unchanged files need not be read, the
hash itself is kept by path, size, times and inode, as git does: a file is taken to be the same
when none of them differs, which a write cannot leave so, since it sets ctime. Only where a file
was hashed within YOUNG_S of its last change could a later write have the same times; such a file
is read again. Other versions of the decoder, and files that are not whole, count as no cache.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import PIL

from finer1 import images
from finer1.files import write_atomic
from finer1.inspection import looking
from finer1.inspection.looking import Look, from_json, to_json

YOUNG_S = 2.0
"""Coarsest time stamps of a file system in use (FAT)."""

MOST_LOOKS = 250_000
"""Beyond it the cache begins anew; the six published datasets have 74,000 images."""

_NAME = "looks.json"

Stamp = tuple[int, int, int, int]
"""Size, mtime and ctime in ns, inode."""


def stamp_of(status: os.stat_result) -> Stamp:
    """See Stamp."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def is_settled(stamp: Stamp, now_ns: int) -> bool:
    """True when a file with this stamp, read at `now_ns`, cannot change and keep its stamp."""
    return max(stamp[1], stamp[2]) < now_ns - YOUNG_S * 1e9


class LookCache:
    """Looks by content, and contents by file."""

    def __init__(self, folder: Path) -> None:
        """Reads what is kept in `folder`; nothing where it is broken or of another decoder."""
        self._file = folder / _NAME
        kept = _read(self._file)
        self._looks: dict[str, list[Any]] = kept["looks"]
        self._hashes: dict[str, list[Any]] = kept["hashes"]
        self._has_changed = False

    def hash_of(self, path: str, stamp: Stamp) -> str | None:
        """SHA-256 of the file as it was last read; None when it may have changed."""
        kept = self._hashes.get(path)
        return str(kept[4]) if kept and tuple(kept[:4]) == stamp else None

    def look_of(self, sha256: str, cut: int) -> Look | None:
        """What was seen in a file of that content."""
        kept = self._looks.get(f"{sha256}:{cut}")
        return None if kept is None else from_json(kept)

    def keep(self, sha256: str, cut: int, look: Look) -> None:
        """Remember what was seen in a file of that content."""
        self._looks[f"{sha256}:{cut}"] = to_json(look)
        self._has_changed = True

    def keep_hash(self, path: str, stamp: Stamp, sha256: str) -> None:
        """Remember the content of a settled file."""
        self._hashes[path] = [*stamp, sha256]
        self._has_changed = True

    def save(self) -> None:
        """Write what is new, so that the file is whole at every moment."""
        if not self._has_changed:
            return
        if len(self._looks) > MOST_LOOKS:
            self._looks, self._hashes = {}, {}
        body = json.dumps({"hashes": self._hashes, "looks": self._looks}).encode()
        self._file.parent.mkdir(parents=True, exist_ok=True)
        # Two processes may save at once; the later one counts.
        with self._file.with_name(f".{_NAME}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            write_atomic(self._file, b"\n".join((_version(), _digest(body), body)))
        self._has_changed = False


def _read(file: Path) -> dict[str, dict[str, list[Any]]]:
    nothing: dict[str, dict[str, list[Any]]] = {"hashes": {}, "looks": {}}
    if not file.is_file():
        return nothing
    version, _, rest = file.read_bytes().partition(b"\n")
    digest, _, body = rest.partition(b"\n")
    if version != _version() or digest != _digest(body):
        return nothing
    kept: dict[str, dict[str, list[Any]]] = json.loads(body)
    return kept


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()


@cache
def _version() -> bytes:
    """Of all that a Look depends on: the code that looks, and Pillow with its libraries."""
    from PIL import features

    parts: Iterable[str] = (
        *(Path(str(module.__file__)).read_text(encoding="utf-8") for module in (images, looking)),
        PIL.__version__,
        *(str(features.version(name)) for name in ("jpg", "libjpeg_turbo", "zlib", "webp")),
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest().encode()
