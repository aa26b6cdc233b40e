"""Files from the network: whole and as listed, or not at all.

A file grows as `<name>.part` (finer1/downloads/transfer.py) and gets its name when its size and its
hash are right. A broken transfer goes on where it stopped, now or at the next call.
"""

import fcntl
import functools
import hashlib
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from finer1.downloads.transfer import (
    BusyError,
    drop_part,
    forget_origin,
    part_size,
    transfer,
)
from finer1.files import disk_full, is_disk_full, publish_file, sha256_file, write_atomic
from finer1.progress import duration

_PROGRESS_BYTES = 2**20
"""A transfer that brought this much was no failure, however it ended."""


@dataclass(frozen=True)
class RemoteFile:
    """A published file."""

    name: str
    urls: tuple[str, ...]
    """The same bytes at several addresses, the first one preferred."""
    size: int | None = None
    """Bytes."""
    sha256: str | None = None
    md5: str | None = None

    @property
    def is_listed(self) -> bool:
        """True when a hash of the file is published."""
        return self.sha256 is not None or self.md5 is not None


@dataclass(frozen=True)
class Patience:
    """When an address is given up; there is no limit to the time in all."""

    timeout_s: float = 30.0
    """To connect, and without a byte."""
    attempts: int = 6
    """Failures in a row, with less than 1 MiB gained."""
    backoff_s: float = 1.0
    """Pause after the first failure; doubled after each further one."""
    longest_wait_s: float = 120.0
    """No pause is longer, and a server that asks for a longer one (Retry-After) is given up."""


@dataclass(frozen=True)
class _Fetch:
    """What stays the same over the addresses of a file."""

    file: RemoteFile
    target: Path
    part: Path
    patience: Patience
    wait: Callable[[float], None]
    client: httpx.Client


def fetch_file(
    file: RemoteFile,
    folder: Path,
    patience: Patience | None = None,
    wait: Callable[[float], None] = time.sleep,
) -> Path:
    """The file below `folder`, from its first address that gives the right bytes.

    A file that is there is hashed, never fetched again. Where no hash is listed, the one found
    first is written to `<name>.sha256` and checked from then on. One process fetches, others wait.
    Raises ValueError when the file that is there is not what is listed, or when all addresses
    failed and one of them gave something else; ConnectionError when all failed for the network
    alone, OSError when the disk is full. What came of the right file stays in the part.
    """
    _check(file)
    folder.mkdir(parents=True, exist_ok=True)
    target, part = folder / file.name, folder / f"{file.name}.part"
    patience = patience or Patience()
    with sole_writer(folder / f".{file.name}.lock"):
        if target.exists():
            if wrong := difference(target, file):
                raise ValueError(f"{target} {wrong}; remove it, so that it is fetched again")
            _record(target, target, file)
            forget_origin(part)  # a kill may have come between the file's name and this
            return target
        failures: list[ValueError | ConnectionError] = []
        with httpx.Client(timeout=patience.timeout_s, verify=_certificates()) as client:
            fetch = _Fetch(file, target, part, patience, wait, client)
            for url in file.urls:
                try:
                    _fetch_from(url, fetch)
                    return target
                except (ValueError, ConnectionError) as error:
                    failures.append(error)
    told = "; ".join(map(str, failures))
    if any(isinstance(failure, ValueError) for failure in failures):
        raise ValueError(told)
    raise ConnectionError(f"{told}; the next call goes on from what has come")


def difference(path: Path, file: RemoteFile) -> str | None:
    """How the file at `path` differs from what is listed or recorded; None where it does not."""
    size = path.stat().st_size
    if file.size not in (None, size):
        return f"has {size} bytes instead of {file.size}"
    expected = {"sha256": file.sha256, "md5": file.md5}
    record = _record_path(path.with_name(file.name))
    if not file.is_listed and record.is_file():
        expected["sha256"] = record.read_text(encoding="utf-8").split()[0]
    for algorithm, digest in expected.items():
        if digest is None:
            continue
        with path.open("rb") as content:
            found = hashlib.file_digest(content, algorithm).hexdigest()
        if found != digest:
            return f"has {algorithm} {found} instead of {digest}"
    return None


@contextmanager
def sole_writer(path: Path) -> Iterator[None]:
    """Hold the lock file at `path` for the block; waits while another process holds it."""
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{path}: waiting for the process that holds it", file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@functools.cache
def _certificates() -> ssl.SSLContext:
    """Read once: it takes 30 ms, longer than a small file."""
    return httpx.create_ssl_context()


def _check(file: RemoteFile) -> None:
    if Path(file.name).name != file.name or file.name in ("", ".."):
        raise ValueError(f"{file.name!r} is no file name without folders")
    if not file.urls:
        raise ValueError(f"{file.name}: there is no address to fetch it from")
    for url in file.urls:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"{file.name}: {url} is neither an http nor an https address")


def _fetch_from(url: str, fetch: _Fetch) -> None:
    """Bring the file to its target from one address.

    Raises ValueError for wrong content, ConnectionError when patience is at its end.
    """
    part, file = fetch.part, fetch.file
    was_begun = part.exists()
    while True:
        _persist(url, fetch)
        wrong = _page(part) or difference(part, file)
        if not wrong:
            break
        drop_part(part)
        if not was_begun:
            raise ValueError(f"{url}: {file.name} {wrong}")
        was_begun = False  # what an earlier address or process left may be what is wrong
    _record(part, fetch.target, file)
    try:
        publish_file(part, fetch.target)
    except OSError as error:
        if is_disk_full(error):
            raise disk_full(part, part_size(part)) from error
        raise
    forget_origin(part)


def _persist(url: str, fetch: _Fetch) -> None:
    """Fill the part, in as many transfers as it takes."""
    part, file, patience = fetch.part, fetch.file, fetch.patience
    failures, furthest = 0, part_size(part)
    while True:
        try:
            transfer(fetch.client, url, part, file.size, file.is_listed)
            return
        except (httpx.TransportError, BusyError) as error:
            if part_size(part) >= furthest + _PROGRESS_BYTES:
                failures, furthest = 0, part_size(part)
            failures += 1
            why = str(error) or type(error).__name__
            asked = error.wait_s if isinstance(error, BusyError) else 0.0
            if failures >= patience.attempts or asked > patience.longest_wait_s:
                raise ConnectionError(f"{url}: {why}") from error
            pause = min(patience.backoff_s * 2 ** (failures - 1), patience.longest_wait_s)
            pause = max(pause, asked)
            again = f"{file.name}: {why}; again in {duration(pause)}"
            print(again, file=sys.stderr, flush=True)
            fetch.wait(pause)


def _page(part: Path) -> str | None:
    """Says so where the part is a web page: an error page, or one that asks for a log-in."""
    with part.open("rb") as content:
        head = content.read(512).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return "is a web page" if head.startswith((b"<!doctype html", b"<html")) else None


def _record(path: Path, target: Path, file: RemoteFile) -> None:
    """Write down the hash of a file that no list gives one for, once."""
    record = _record_path(target)
    if not file.is_listed and not record.exists():
        write_atomic(record, f"{sha256_file(path)}  {file.name}\n".encode())


def _record_path(target: Path) -> Path:
    return target.with_name(f"{target.name}.sha256")
