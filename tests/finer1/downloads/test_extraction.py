"""Archives made to break out, to fill the disk or the memory, and honest ones."""

import gzip
import io
import os
import signal
import stat
import subprocess
import sys
import tarfile
import time
import tracemalloc
import zipfile

import pytest

from finer1.downloads.extraction import Limits, extract

FILES = {"top/a.jpg": b"\xff\xd8 one", "top/sub/b.jpg": b"two" * 1000, "note.txt": b""}
NFC, NFD = "caf\u00e9.jpg", "cafe\u0301.jpg"
DEFLATE_BOMB = bytes(4 * 2**20)


def tar_of(members, mode="w:gz", form=tarfile.PAX_FORMAT):
    """A tar of (name, content) pairs and of TarInfo objects."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=form) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            archive.addfile(info, io.BytesIO(member[1]))
    return out.getvalue()


def zip_of(members, method=zipfile.ZIP_DEFLATED):
    """A zip of (name or ZipInfo, content) pairs."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content, method)
    return out.getvalue()


def special(kind, name="a", link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def unix(name, mode):
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def with_flag(content, offset, value):
    """A zip whose first entry has `value` at `offset` of its record in the list of members."""
    place = content.index(b"PK\x01\x02") + offset
    return content[:place] + bytes([value]) + content[place + 1 :]


def sparse():
    info = tarfile.TarInfo("a")
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
    return info


def global_path():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", pax_headers={"path": "../out"}) as archive:
        archive.addfile(tarfile.TarInfo("a"))
    return out.getvalue()


def negative_size():
    info = tarfile.TarInfo("a")
    info.size = -512
    return info.tobuf(tarfile.GNU_FORMAT) + bytes(1024)


def pax_record(record):
    """A tar whose first header is a pax header of this content."""
    info = tarfile.TarInfo("header")
    info.type, info.size = tarfile.XHDTYPE, len(record)
    blocks = record.ljust(-(-len(record) // 512) * 512, b"\0")
    return info.tobuf(tarfile.USTAR_FORMAT) + blocks + tar_of([("a", b"1")], mode="w")


def record_of(value):
    """A well-formed pax record that gives the size."""
    length = len(value) + len(" size=\n")
    length += len(str(length + 3))
    return b"%d size=%s\n" % (length, value)


def not_utf8():
    info = tarfile.TarInfo("a\udcff")
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape") + bytes(1024)


def huge_header():
    info = tarfile.TarInfo("a" * 2**21)  # a GNU long name of 2 MiB
    return gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))


def many(count):
    return ((f"{number}", b"") for number in range(count))


REFUSED = {
    "parent": tar_of([("../out", b"1")]),
    "parent-inside": tar_of([("top/../../out", b"1")]),
    "parent-zip": zip_of([("../out", b"1")]),
    "sibling-prefix": tar_of([("../target-evil/out", b"1")]),
    "absolute": tar_of([("/finer1-out", b"1")]),
    "absolute-zip": zip_of([("/finer1-out", b"1")]),
    "backslash-zip": zip_of([("..\\out", b"1")]),
    "drive": zip_of([("C:/out", b"1")]),
    "nul-in-zip": zip_of([("b.jpg", b"1")]).replace(b"b.jpg", b"b\0jpg"),
    "newline": tar_of([("a\nb", b"1")]),
    "not-utf8": not_utf8(),
    "part-too-long": tar_of([("a" * 256, b"1")]),
    "path-too-long": tar_of([("/".join(["a" * 200] * 6), b"1")]),
    "too-deep": tar_of([("/".join("a" * 40), b"1")]),
    "symbolic-link": tar_of([special(tarfile.SYMTYPE, link="/etc/passwd")]),
    "link-chain": tar_of(
        [special(tarfile.SYMTYPE, "a", ".."), special(tarfile.SYMTYPE, "a/b", ".."), ("a/b/c", b"")]
    ),
    "hard-link": tar_of([("b", b"1"), special(tarfile.LNKTYPE, link="b")]),
    "pipe": tar_of([special(tarfile.FIFOTYPE)]),
    "device": tar_of([special(tarfile.CHRTYPE)]),
    "sparse": tar_of([sparse()]),
    "symbolic-link-zip": zip_of([(unix("a", stat.S_IFLNK | 0o777), "/etc/passwd")]),
    "pipe-zip": zip_of([(unix("a", stat.S_IFIFO | 0o644), "")]),
    "case-clash": tar_of([("a/B.jpg", b"1"), ("A/b.jpg", b"2")]),
    "accent-clash": tar_of([(NFC, b"1"), (NFD, b"2")]),
    "duplicate": tar_of([("a", b"1"), ("./a", b"2")]),
    "file-as-folder": tar_of([("a", b"1"), ("a/b", b"2")]),
    "windows-device": tar_of([("images/NUL.jpg", b"1")]),
    "windows-dot": tar_of([("images./a.jpg", b"1")]),
    "million-members": tar_of(many(2000)),
    "million-members-zip": zip_of(many(2000)),
    "ratio": tar_of([("zeros", DEFLATE_BOMB)]),
    "ratio-zip": zip_of([("zeros", DEFLATE_BOMB)]),
    "size": tar_of([(f"{n}", os.urandom(2**20)) for n in range(9)], mode="w"),
    "header-bomb": huge_header(),
    "global-path": global_path(),
    "negative-size": negative_size(),
    "pax-length-of-many-digits": pax_record(b"1" * 19 + b" a=b\n"),
    "pax-size-of-many-digits": pax_record(record_of(b"9" * 5000)),
    "pax-size-of-other-digits": pax_record(record_of("\u0663".encode())),
    "pax-size-below-zero": pax_record(record_of(b"-512")),
    "content-behind-the-end": tar_of([("a", b"1")], mode="w") + b"more".ljust(512, b"\0"),
    "encrypted-zip": with_flag(zip_of([("a", b"1")]), 8, 1),
    "lzma-zip": zip_of([("a", b"1")], zipfile.ZIP_LZMA),
    "truncated": tar_of([("a", os.urandom(5000))])[:-200],
    "truncated-tar": tar_of(FILES.items(), mode="w")[: 512 * 3],
    "truncated-zip": zip_of(FILES.items())[:-30],
    "wrong-checksum": tar_of([("a", b"1"), ("b", b"1")], mode="w").replace(b"b\0\0", b"c\0\0"),
    "zip-of-another-sum": zip_of([("a", b"12345")], zipfile.ZIP_STORED).replace(b"12345", b"12344"),
    "zip-pointing-outside": zip_of([("a", b"1")]).replace(b"\1\0\0\0a", b"\0\0\0\0"),
    "no-archive": b"<html>no archive</html>",
    "empty": b"",
}
LIMITS = Limits(members=1000, size=8 * 2**20, ratio=100)


def tree(folder):
    return {p.relative_to(folder).as_posix(): p.lstat().st_mode for p in folder.rglob("*")}


def content_of(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_leaves_nothing_anywhere(tmp_path, name):
    archive = tmp_path / "in" / "archive"
    archive.parent.mkdir()
    archive.write_bytes(REFUSED[name])
    before = tree(tmp_path)
    with pytest.raises(ValueError, match=f"^{archive}"):
        extract(archive, tmp_path / "in" / "target", LIMITS)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_tar_comes_out_as_it_went_in(tmp_path, mode, form):
    letter = "e" if form == tarfile.USTAR_FORMAT else "\u00e9"
    long = {f"{'d' * 90}/{letter}{'f' * 95}": b"long"}
    (tmp_path / "a.tar").write_bytes(tar_of((FILES | long).items(), mode, form))
    extract(tmp_path / "a.tar", tmp_path / "out")
    assert content_of(tmp_path / "out") == FILES | long


def test_a_zip_comes_out_as_it_went_in(tmp_path):
    (tmp_path / "a.zip").write_bytes(zip_of([*FILES.items(), ("empty/", b""), (NFD, b"x")]))
    extract(tmp_path / "a.zip", tmp_path / "out")
    assert content_of(tmp_path / "out") == FILES | {NFD: b"x"}
    assert (tmp_path / "out" / "empty").is_dir()


def test_what_the_tar_command_writes_comes_out(tmp_path):
    for name, content in FILES.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(content)
    archive = tmp_path / "a.tgz"  # with "./" as its first member
    subprocess.run(["tar", "-czf", archive, "-C", tmp_path / "in", "."], check=True)
    extract(archive, tmp_path / "out")
    assert content_of(tmp_path / "out") == FILES


def test_files_are_not_executable_and_folders_are_mine(tmp_path):
    info = tarfile.TarInfo("run.sh")
    info.mode = 0o6777
    (tmp_path / "a.tar").write_bytes(tar_of([info]))
    extract(tmp_path / "a.tar", tmp_path / "out")
    assert not (tmp_path / "out" / "run.sh").stat().st_mode & 0o7111


def test_a_target_that_is_there_is_kept(tmp_path):
    (tmp_path / "a.zip").write_bytes(zip_of(FILES.items()))
    (tmp_path / "out").mkdir()
    with pytest.raises(ValueError, match="is there already"):
        extract(tmp_path / "a.zip", tmp_path / "out")


@pytest.mark.parametrize("name", ["million-members-zip", "header-bomb", "ratio", "ratio-zip"])
def test_a_bomb_does_not_fill_the_memory(tmp_path, name):
    (tmp_path / "a").write_bytes(REFUSED[name])
    tracemalloc.start()
    with pytest.raises(ValueError):
        extract(tmp_path / "a", tmp_path / "out", LIMITS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20e6


def test_a_killed_extraction_leaves_no_target_and_the_next_one_works(tmp_path):
    archive, target = tmp_path / "a.tar", tmp_path / "out"
    archive.write_bytes(tar_of(((f"{n}.jpg", bytes(2000)) for n in range(600)), mode="w"))
    code = (
        "import sys; from pathlib import Path; from finer1.downloads.extraction import extract;"
        "extract(Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    child = subprocess.Popen([sys.executable, "-c", code, archive, target])
    while not (tmp_path / ".out.part" / "10.jpg").exists():
        time.sleep(0.001)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert not target.exists()
    extract(archive, target)
    assert len(list(target.iterdir())) == 600
    assert not (tmp_path / ".out.part").exists()


def test_the_size_of_a_pax_header_counts(tmp_path):
    (tmp_path / "a.tar").write_bytes(pax_record(record_of(b"1")))
    extract(tmp_path / "a.tar", tmp_path / "out")
    assert content_of(tmp_path / "out") == {"a": b"1"}
