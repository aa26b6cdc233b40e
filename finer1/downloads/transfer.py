"""One request for what is missing of a file, written behind what is there.

A file grows as a part, `<name>.part`. `<name>.part.json` says which address the part came from and
which version (ETag or Last-Modified) it is of, so that two versions are never put together
unnoticed.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from io import FileIO
from pathlib import Path

import httpx

from finer1 import faults
from finer1.files import check_space, disk_full, is_disk_full, write_atomic
from finer1.progress import Progress

_MB = 1_000_000
_REDIRECTS = 5
_MOVED = (301, 302, 303, 307, 308)
_PASSING = (408, 425, 429, 500, 502, 503, 504)
"""Answers after which the same request may succeed."""


class BusyError(ConnectionError):
    """A failure that may pass; `wait_s` is what the server asked for."""

    def __init__(self, what: str, wait_s: float = 0.0) -> None:
        super().__init__(what)
        self.wait_s = wait_s


@dataclass(frozen=True)
class _Origin:
    """What a part is a part of."""

    url: str
    version: str | None
    """ETag or Last-Modified, as the server gave it."""


def transfer(client: httpx.Client, url: str, part: Path, size: int | None, is_listed: bool) -> None:
    """Bring what is missing of the part; it is whole, and not yet hashed, on return.

    `client` must not follow redirects. size: bytes of the whole file. is_listed: a hash will tell
    whether pieces of several addresses fit; without, only the same version is gone on with.
    Raises ValueError when this address has not got the file, BusyError or httpx.TransportError
    for what may pass, OSError when the part cannot be written. The part stays unless it is wrong.
    """
    origin = _read_origin(part)
    is_same_url = origin is not None and origin.url == url
    version = origin.version if origin is not None and is_same_url else None
    begun = part_size(part)
    if (size is not None and begun > size) or (not is_listed and version is None):
        begun = 0
    if begun and begun == size:
        return
    with _answer(client, url, _headers(begun, version)) as response:
        if response.status_code == 416 and begun:
            if size is None and _range(response)[1] == begun:
                return
            drop_part(part)
            raise BusyError("does not go on from where the transfer broke off")
        _refuse_status(response, url)
        start, total = _range(response) if response.status_code == 206 else (0, _length(response))
        found = response.headers.get("ETag") or response.headers.get("Last-Modified")
        if start not in (0, begun) or (start and is_same_url and found != version):
            drop_part(part)
            raise BusyError("has another version of the file than when the transfer broke off")
        _refuse_answer(response, url, size, total)
        if total is None and size is None and "Transfer-Encoding" not in response.headers:
            raise ValueError(f"{url}: does not tell how long the file is, and no list does")
        if start == 0:
            drop_part(part)  # first, so that no old part ever stands beside a new version
            write_atomic(_origin_path(part), json.dumps([url, found]).encode())
        _append(response, url, part, start, size or total)


def part_size(part: Path) -> int:
    """Bytes that have come; 0 where there is no part."""
    return part.stat().st_size if part.exists() else 0


def drop_part(part: Path) -> None:
    """Remove the part and what is known of its origin."""
    part.unlink(missing_ok=True)
    forget_origin(part)


def forget_origin(part: Path) -> None:
    """Remove what is known of the part's origin."""
    _origin_path(part).unlink(missing_ok=True)


def redirected(url: str, location: str) -> str:
    """The address that `location` in an answer of `url` leads to.

    Raises ValueError for what is neither http nor https, and for https leading to http.
    """
    try:
        old, new = httpx.URL(url), httpx.URL(url).join(location)
    except httpx.InvalidURL as error:
        raise ValueError(f"{url}: leads to {location!r}, which is no address") from error
    if new.scheme not in ("http", "https") or (old.scheme == "https" and new.scheme == "http"):
        raise ValueError(f"{url}: leads from {old.scheme} to {new.scheme}, which is not followed")
    return str(new)


def _append(response: httpx.Response, url: str, part: Path, start: int, end: int | None) -> None:
    """Write the body behind the first `start` bytes of the part, up to `end` bytes in all."""
    check_space(part, (end or 0) - start)
    progress = Progress(_name(part), (end or 0) // _MB, "MB", done=start // _MB)
    done = start
    # Without a buffer, whose content would be written once more when the file is closed.
    with part.open("r+b" if part.exists() else "wb", buffering=0) as out:
        out.truncate(start)
        out.seek(start)
        for chunk in response.iter_raw():
            if end is not None and done + len(chunk) > end:
                done += len(chunk)
                break
            _write(out, chunk, part, end)
            gained = (done + len(chunk)) // _MB - done // _MB
            done += len(chunk)
            if end and gained:
                progress.advance(gained)
    if end is not None and done > end:
        drop_part(part)
        raise ValueError(f"{url}: {_name(part)} has more than {end} bytes")
    if end is not None and done < end:
        raise BusyError(f"ended after {done} of {end} bytes")


def _write(out: FileIO, chunk: bytes, part: Path, end: int | None) -> None:
    """Write a chunk; what a full disk has taken of the part stays, for the next call."""
    try:
        faults.point("download:chunk")
        rest = memoryview(chunk)
        while rest:
            rest = rest[out.write(rest) :]
    except OSError as error:
        if is_disk_full(error):
            done = part.stat().st_size
            raise disk_full(part, (end or done) - done) from error
        raise


@contextmanager
def _answer(client: httpx.Client, url: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
    """The answer at the end of all redirects, its body not yet read."""
    seen = [url]
    while True:
        with client.stream("GET", seen[-1], headers=headers) as response:
            if response.status_code not in _MOVED:
                yield response
                return
            following = redirected(seen[-1], response.headers.get("Location", ""))
        if following in seen or len(seen) > _REDIRECTS:
            raise ValueError(f"{url}: leads in a circle or over more than {_REDIRECTS} addresses")
        seen.append(following)


def _headers(begun: int, version: str | None) -> dict[str, str]:
    # Archives are compressed already, and a range counts bytes of what is sent.
    headers = {"Accept-Encoding": "identity"}
    if begun:
        headers["Range"] = f"bytes={begun}-"
        # A weak ETag may not stand in If-Range (RFC 9110, 13.1.5).
        if version is not None and not version.startswith("W/"):
            headers["If-Range"] = version
    return headers


def _refuse_status(response: httpx.Response, url: str) -> None:
    if response.status_code in _PASSING:
        raise BusyError(f"answers {response.status_code}", _retry_after(response))
    if response.status_code not in (200, 206):
        raise ValueError(f"{url}: answers {response.status_code} {response.reason_phrase}")


def _refuse_answer(response: httpx.Response, url: str, size: int | None, total: int | None) -> None:
    """Raise ValueError where the head of the answer shows that the body is not the file."""
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind in ("text/html", "application/xhtml+xml"):
        raise ValueError(f"{url}: answers with a web page instead of the file")
    if size is not None and total is not None and total != size:
        raise ValueError(f"{url}: has {total} bytes instead of {size}")


def _range(response: httpx.Response) -> tuple[int, int | None]:
    """First byte (-1: not told) and total of the Content-Range."""
    told = response.headers.get("Content-Range", "").strip()
    found = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", told)
    if not found:
        return -1, None
    start, total = found.groups()
    return -1 if start is None else int(start), None if total == "*" else int(total)


def _length(response: httpx.Response) -> int | None:
    told = response.headers.get("Content-Length", "")
    return int(told) if told.isdecimal() else None


def _retry_after(response: httpx.Response) -> float:
    """Seconds that the server asks to wait; 0 where it asks nothing that can be read."""
    told = response.headers.get("Retry-After", "").strip()
    if told.isdecimal():
        return float(told)
    try:
        left = parsedate_to_datetime(told) - datetime.now(UTC)
    except (ValueError, TypeError):  # no date, or one without a zone
        return 0.0
    return max(0.0, left.total_seconds())


def _read_origin(part: Path) -> _Origin | None:
    path = _origin_path(part)
    if not path.is_file() or not part.exists():
        return None
    try:
        url, version = json.loads(path.read_bytes())
    except (ValueError, TypeError):  # no JSON (torn, damaged), or not a pair
        return None
    is_told = isinstance(url, str) and isinstance(version, str | None)
    return _Origin(url, version) if is_told else None


def _origin_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _name(part: Path) -> str:
    return part.name.removesuffix(".part")
