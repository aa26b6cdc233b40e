"""Archives from elsewhere, unpacked without trust: tar, tar.gz and zip.

Regular files and folders only; every link, device and pipe refuses the whole archive. The members
are read one after the other here and not by `tarfile.extractall`, whose filters were passed again
and again (CVE-2025-4330, CVE-2025-4517, CVE-2026-11940). Names are checked in
finer1/downloads/member_names.py. An archive is unpacked beside its target and then renamed.
"""

import gzip
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from finer1.downloads.member_names import MAX_NAME, Names, safe_parts
from finer1.files import new_folder

_Stream = IO[bytes] | gzip.GzipFile

_BLOCK = tarfile.BLOCKSIZE
_CHUNK = 2**20
_MAX_HEADER = 2**16
"""Bytes of one pax or GNU long-name header."""
_MAX_PADDING = 2**20
"""Bytes after the end mark; GNU tar fills its last record of 10 KiB."""
_MAX_DIRECTORY = 2**24
"""Bytes of a zip's list of members, which is read as a whole."""
_FREE = 2**20
"""Bytes that any archive may grow to, whatever the ratio."""
_BROKEN = (
    tarfile.HeaderError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, struct.error, EOFError,
    NotImplementedError, UnicodeError,
)  # fmt: skip
"""What the readers raise for content that is no archive or only a piece of one."""


@dataclass(frozen=True)
class Limits:
    """What an archive may hold; the largest official one has 21,000 members and 2.8 GB."""

    members: int = 50_000
    size: int = 8 * 2**30
    """Bytes of all files."""
    ratio: int = 100
    """Bytes of all files over bytes of the archive; photographs are near 1, lists near 10."""


@dataclass(frozen=True)
class _Member:
    name: str
    is_folder: bool
    size: int
    chunks: Iterator[bytes]
    """The content, to be read before the next member is asked for."""


def extract(archive: Path, target: Path, limits: Limits | None = None) -> None:
    """Unpack the archive into the new folder `target`, which is whole or absent.

    One process at a time may unpack to a target; what a killed one left is removed.
    Raises ValueError, naming archive and member, for everything that is refused.
    """
    limits = limits or Limits()
    kind = _kind(archive)
    if kind is None:
        raise ValueError(f"{archive} is neither a tar, tar.gz nor zip archive")
    if target.exists():
        raise ValueError(f"{target} is there already; remove it to unpack {archive.name} again")
    try:
        with new_folder(target) as part, _opened(archive, kind, limits) as members:
            _write(members, part, archive, limits)
    except _BROKEN as error:
        raise ValueError(f"{archive} is damaged: {error}") from error


def _kind(path: Path) -> Literal["tar", "tar.gz", "zip"] | None:
    with path.open("rb") as file:
        head = file.read(_BLOCK)
    if head.startswith(b"PK\x03\x04"):
        return "zip"
    if not head.startswith(b"\x1f\x8b"):
        return "tar" if _is_header(head) else None
    try:
        with gzip.open(path) as file:
            head = file.read(_BLOCK)
    except _BROKEN:
        return None
    return "tar.gz" if _is_header(head) else None


def _is_header(block: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


@contextmanager
def _opened(archive: Path, kind: str, limits: Limits) -> Iterator[Iterator[_Member]]:
    if kind == "zip":
        with archive.open("rb") as file, zipfile.ZipFile(_ZipFile(file, limits)) as opened:
            yield _zip_members(opened, archive)
    elif kind == "tar":
        with archive.open("rb") as file:
            yield _tar_members(file, archive, limits)
    else:
        with gzip.open(archive) as unpacked:
            yield _tar_members(unpacked, archive, limits)


def _write(members: Iterator[_Member], root: Path, archive: Path, limits: Limits) -> None:
    names, total = Names(), 0
    most = max(_FREE, limits.ratio * archive.stat().st_size)
    for count, member in enumerate(members, 1):
        where = f"{archive}: member {count}, {member.name[:MAX_NAME]!r}"
        if count > limits.members:
            raise ValueError(f"{archive} has more than {limits.members} members")
        total += member.size
        if total > limits.size:
            raise ValueError(f"{where}: more than {limits.size} bytes in all")
        if total > most:
            raise ValueError(f"{where}: grows to more than {limits.ratio} times the archive's size")
        try:
            parts = safe_parts(member.name)
            names.add(parts, member.is_folder)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
        path = root.joinpath(*parts)
        if member.is_folder:
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as out:
            for chunk in member.chunks:
                out.write(chunk)


def _tar_members(stream: _Stream, archive: Path, limits: Limits) -> Iterator[_Member]:
    """Members in their order, each header read block by block (POSIX.1-2008 pax, GNU names)."""
    long: dict[str, str] = {}
    for count, info in enumerate(_tar_headers(stream)):
        if count > 3 * limits.members:
            raise ValueError(f"{archive} has more than {limits.members} members")
        if info.size < 0:
            raise ValueError(f"{archive}: {info.name!r} has a size below 0")
        if info.type in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME):
            content = _header_content(stream, info, archive)
            if info.type == tarfile.GNUTYPE_LONGNAME:
                long["path"] = content.rstrip(b"\0").decode()
            elif info.type == tarfile.XHDTYPE:
                long |= _pax(content, archive)
            elif {"path", "size", "linkpath"} & _pax(content, archive).keys():
                raise ValueError(f"{archive}: a global header gives every member one name or size")
            continue
        name, is_folder = long.get("path", info.name), info.type == tarfile.DIRTYPE
        if any(key.startswith("GNU.sparse") for key in long):
            raise ValueError(f"{archive}: {name!r} is a sparse file")
        if not is_folder and info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
            raise ValueError(f"{archive}: {name!r} is neither a regular file nor a folder")
        size = _number(long["size"], archive) if "size" in long else info.size
        if is_folder and size:
            raise ValueError(f"{archive}: folder {name!r} has content")
        yield _Member(name, is_folder, size, _pieces(stream, size))
        _take(stream, -size % _BLOCK)
        long = {}


def _tar_headers(stream: _Stream) -> Iterator[tarfile.TarInfo]:
    while True:
        block = _take(stream, _BLOCK)
        if not any(block):
            break
        yield tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    padding = 0
    # Read to the end, where gzip checks its sum.
    while chunk := stream.read(_MAX_HEADER):
        padding += len(chunk)
        if padding > _MAX_PADDING or chunk.count(0) < len(chunk):
            raise EOFError("it goes on behind its end mark")


def _header_content(stream: _Stream, info: tarfile.TarInfo, archive: Path) -> bytes:
    if info.size > _MAX_HEADER:
        raise ValueError(f"{archive}: {info.name!r} is a header of {info.size} bytes")
    content = _take(stream, info.size)
    _take(stream, -info.size % _BLOCK)
    return content


def _pax(content: bytes, archive: Path) -> dict[str, str]:
    """The records "length key=value\\n" of a pax header."""
    found: dict[str, str] = {}
    while content:
        length, _, _ = content[:20].partition(b" ")
        end = _number(length.decode("latin-1"), archive)
        key, equals, value = content[len(length) + 1 : end - 1].partition(b"=")
        if not equals or content[end - 1 : end] != b"\n":
            raise ValueError(f"{archive}: a pax header is broken")
        found[key.decode()] = value.decode(errors="surrogateescape")
        content = content[end:]
    return found


def _number(digits: str, archive: Path) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", digits):
        raise ValueError(f"{archive}: a pax header is broken: {digits[:20]!r} is no size")
    return int(digits)


def _pieces(stream: _Stream, size: int) -> Iterator[bytes]:
    while size:
        chunk = _take(stream, min(size, _CHUNK))
        size -= len(chunk)
        yield chunk


def _take(stream: _Stream, size: int) -> bytes:
    """Exactly `size` bytes."""
    content = stream.read(size)
    if len(content) < size:
        raise EOFError("it ends before its end mark")
    return content


class _ZipFile:
    """A zip file whose list of members can neither fill the memory nor point elsewhere.

    `zipfile` reads the list in one piece, before a single member could be refused.
    """

    def __init__(self, file: IO[bytes], limits: Limits) -> None:
        self._file = file
        self._limits = limits
        self._size = file.seek(0, 2)
        self.tell, self.seekable = file.tell, file.seekable

    def seek(self, offset: int, whence: int = 0) -> int:
        if whence == 0 and not 0 <= offset <= self._size:
            raise zipfile.BadZipFile("it points outside of itself")
        return self._file.seek(offset, whence)

    def read(self, size: int = -1) -> bytes:
        if size > _MAX_DIRECTORY:
            raise zipfile.BadZipFile(f"its list of members has {size} bytes")
        content = self._file.read(size)
        if content.count(b"PK\x01\x02") > self._limits.members:
            raise zipfile.BadZipFile(f"it has more than {self._limits.members} members")
        return content


def _zip_members(opened: zipfile.ZipFile, archive: Path) -> Iterator[_Member]:
    for info in opened.infolist():
        name = info.orig_filename  # as stored: `filename` ends at a NUL
        is_folder = name.endswith("/")
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFDIR if is_folder else stat.S_IFREG):
            raise ValueError(f"{archive}: {name!r} is neither a regular file nor a folder")
        if info.flag_bits & 1:
            raise ValueError(f"{archive}: {name!r} is encrypted")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"{archive}: {name!r} is packed in a way other than deflate")
        if is_folder and info.file_size:
            raise ValueError(f"{archive}: folder {name!r} has content")
        yield _Member(name, is_folder, info.file_size, _unzipped(opened, info))


def _unzipped(opened: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    with opened.open(info) as file:
        left = info.file_size
        while chunk := file.read(_CHUNK):
            left -= len(chunk)
            yield chunk
    if left:
        raise zipfile.BadZipFile(f"{info.filename!r} is shorter than the list of members says")
