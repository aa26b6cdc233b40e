"""Looking at every image of a dataset once: readable or not, oddities, hashes.

Files are opened, decoded and hashed in processes of their own; what was seen is kept by content,
so that unchanged data is not decoded again. Memory does not grow with the pixels.
"""

import errno
import hashlib
import os
import stat
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from finer1.datasets.interface import ListedImage
from finer1.images import crop_bottom
from finer1.inspection.cache import LookCache, Stamp, is_settled, stamp_of
from finer1.inspection.looking import Look, look_at
from finer1.inspection.process import LookProcess, look_processes
from finer1.inspection.suffixes import FORMATS
from finer1.progress import Progress

_BATCH = 32
"""Images that a process is given at once."""

_SAVE_EVERY = 5_000
"""New looks after which the cache is written, so that a killed run loses little."""

_OF_THE_FILE = frozenset(
    (errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)
)
"""Errors of the one file; others (input/output error, too many open files) are the machine's."""


@dataclass(frozen=True)
class Inspected:
    """What was seen in one image."""

    sha256: str
    """Hex SHA-256 of the bytes that go into the archive (see stored_bytes); of the file where it
    is unreadable; empty when it cannot be opened."""
    phash: str
    """64-bit perceptual hash of the upright picture, 16 hex digits; empty when unreadable."""
    width: int
    """Pixels, upright; 0 when unreadable, as is the height."""
    height: int
    oddities: tuple[str, ...]
    """What a plain photograph is not: those of images.Decoded, and "GIF content in .jpg"."""
    error: str | None
    """Why the image cannot be used: one sentence that begins with ListedImage.where."""


@dataclass(frozen=True)
class _Seen:
    """What a thread found out about an image; `content` is what the cache knows a file by."""

    look: Look
    content: str = ""
    stamp: Stamp | None = None
    """Set where the hash of the file is to be kept."""
    is_new: bool = False


def inspect_images(
    images: Sequence[ListedImage], cache: Path, workers: int, progress: Progress | None
) -> Iterator[Inspected]:
    """An Inspected per image, in the order of `images`.

    cache: folder for what was seen. workers: processes, at least 1; content without a file is
    looked at in this one. A file that is absent or may not be read is an error of its image;
    OSError is raised where the machine fails, a process is killed, or a file changes meanwhile.
    """
    known = LookCache(cache)
    unsaved = 0
    with look_processes(workers) as idle, ThreadPoolExecutor(workers) as threads:
        batches = (images[at : at + _BATCH] for at in range(0, len(images), _BATCH))
        waiting: deque[tuple[Sequence[ListedImage], Future[list[_Seen]]]] = deque()
        try:
            for batch in batches:
                waiting.append((batch, threads.submit(_see_batch, batch, known, idle)))
                if len(waiting) > 2 * workers:
                    unsaved += yield from _finish(*waiting.popleft(), known, progress)
                if unsaved >= _SAVE_EVERY:
                    known.save()
                    unsaved = 0
            while waiting:
                yield from _finish(*waiting.popleft(), known, progress)
        finally:
            for _, future in waiting:
                future.cancel()
            known.save()


def stored_bytes(image: ListedImage) -> bytes:
    """What goes into the archive of a run: the file as it is, or without its lowest rows.

    Raises ValueError when it is to be cut and cannot be decoded.
    """
    content = image.source if isinstance(image.source, bytes) else image.source.read_bytes()
    if not image.crop_bottom:
        return content
    try:
        return crop_bottom(content, image.crop_bottom)
    except ValueError as error:
        raise ValueError(f"{image.where}: {error}") from error


def _finish(
    batch: Sequence[ListedImage],
    future: "Future[list[_Seen]]",
    known: LookCache,
    progress: Progress | None,
) -> Generator[Inspected, None, int]:
    """The results of a batch; returns the number of new looks, which are given to the cache."""
    new = 0
    seen = future.result()
    for image, one in zip(batch, seen, strict=True):
        if one.is_new and one.content:
            known.keep(one.content, image.crop_bottom, one.look)
            new += 1
        if one.stamp is not None:
            known.keep_hash(_key(image.source), one.stamp, one.content)
        yield _inspected(image, one.look)
    if progress is not None:
        progress.advance(len(batch), is_new=any(one.is_new for one in seen))
    return new


def _see_batch(
    batch: Sequence[ListedImage], known: LookCache, idle: "SimpleQueue[LookProcess]"
) -> list[_Seen]:
    process = idle.get()
    try:
        return [_see(image, known, process) for image in batch]
    finally:
        idle.put(process)


def _see(image: ListedImage, known: LookCache, process: LookProcess) -> _Seen:
    if isinstance(image.source, bytes):
        content = hashlib.sha256(image.source).hexdigest()
        look = known.look_of(content, image.crop_bottom)
        if look is not None:
            return _Seen(look)
        return _Seen(look_at(image.source, image.crop_bottom), content, is_new=True)
    try:
        return _see_file(_key(image.source), image.crop_bottom, known, process)
    except OSError as error:
        if error.errno not in _OF_THE_FILE:
            raise
        return _Seen(_unseen(f"cannot be opened ({error.strerror})"))


def _see_file(path: str, cut: int, known: LookCache, process: LookProcess) -> _Seen:
    now = time.time_ns()
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        return _Seen(_unseen("is not a file"))
    stamp = stamp_of(status)
    content = known.hash_of(path, stamp)
    keep = None
    if content is None:
        with open(path, "rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        keep = stamp if is_settled(stamp, now) else None
    look = known.look_of(content, cut)
    if look is not None:
        return _Seen(look, content, keep)
    look = process.look_at(path, cut)
    has_other_hash = not cut and look.sha256 not in ("", content)
    if has_other_hash or stamp_of(os.stat(path)) != stamp:
        raise OSError(f"{path} changed while it was read; let its writer finish, then run again")
    # A breakdown of the decoder has no hash and is not kept: it may have been the machine's.
    return _Seen(look, content if look.sha256 else "", keep if look.sha256 else None, is_new=True)


def _unseen(error: str) -> Look:
    return Look("", "", 0, 0, "", (), error)


def _key(source: Path | bytes) -> str:
    assert isinstance(source, Path)
    return os.path.abspath(source)


def _inspected(image: ListedImage, look: Look) -> Inspected:
    suffix = os.path.splitext(image.path)[1]
    oddities = look.oddities
    if look.error is None and FORMATS.get(suffix.lower(), look.format) != look.format:
        oddities = (*oddities, f"{look.format} content in {suffix.lower()}")
    error = None if look.error is None else f"{image.where}: {image.path} {_verb(look.error)}"
    return Inspected(look.sha256, look.phash, look.width, look.height, oddities, error)


def _verb(error: str) -> str:
    return f"is {error}" if error.startswith("not a readable image") else error
