"""Files from a server that cuts, stalls, lies, moves and refuses: the right bytes or one error."""

import fcntl
import hashlib
import random
import resource
import threading

import pytest

from finer1.downloads.fetching import Patience, RemoteFile, difference, fetch_file
from finer1.downloads.sources import SOURCES
from finer1.downloads.transfer import redirected

PATIENCE = Patience(timeout_s=5.0, attempts=3)
IMPATIENCE = Patience(timeout_s=0.1, attempts=9)
"""For a server that stalls; more attempts, since a busy machine stalls too."""
CONTENT = random.Random(0).randbytes(30_000)
WAITS = ("cut", "no_range", "reset", "stall", "unsatisfiable", "too_many", "unavailable")
SUCCEED = (*WAITS, "honest", "redirect", "changed", "changed_unnoticed")
FAIL = ("wrong_bytes", "short", "long", "circle", "page", "disguised_page", "missing")


@pytest.fixture(scope="module")
def server(faulty_server):
    """All files of the six datasets, under their names with small random contents."""
    draws = random.Random(1)
    names = [f"{name}-{file.name}" for name, source in SOURCES.items() for file in source.files]
    files = {name: draws.randbytes(draws.randint(300, 20_000)) for name in names}
    with faulty_server.serve({**files, "a.bin": CONTENT}) as running:
        yield running


@pytest.fixture(autouse=True)
def _forget(server):
    server.seen.clear()
    server.requests.clear()


def remote(server, *behaviours, name="a.bin", hashed=True, sized=True):
    """The file at one address per behaviour, listed with its true size and hash."""
    content = server.files[name]
    return RemoteFile(
        name,
        tuple(f"{server.base}/{behaviour}/{name}" for behaviour in behaviours),
        len(content) if sized else None,
        hashlib.sha256(content).hexdigest() if hashed else None,
    )


def fetch(file, folder, patience=PATIENCE):
    if any("/stall/" in url for url in file.urls):
        patience = IMPATIENCE
    return fetch_file(file, folder, patience, wait=lambda seconds: None)


def leftovers(folder):
    """Names in the folder, the lock left out."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


@pytest.mark.parametrize("behaviour", [*SUCCEED, *FAIL])
def test_every_official_file_comes_right_or_not_at_all(server, tmp_path, behaviour):
    for dataset, source in SOURCES.items():
        for listed in source.files:
            name = f"{dataset}-{listed.name}"
            file = remote(server, behaviour, name=name)
            if behaviour in SUCCEED:
                assert fetch(file, tmp_path).read_bytes() == server.files[name]
                assert leftovers(tmp_path) == [name]
                (tmp_path / name).unlink()
            else:
                with pytest.raises(ValueError, match=f"^{file.urls[0]}.*"):
                    fetch(file, tmp_path)
                assert not (tmp_path / name).exists()
                assert "wrong" not in behaviour or not leftovers(tmp_path)


@pytest.mark.parametrize("behaviour", [b for b in SUCCEED if not b.startswith("changed_")])
def test_a_file_without_listed_size_and_hash_comes_right(server, tmp_path, behaviour):
    file = remote(server, behaviour, hashed=False, sized=False)
    assert fetch(file, tmp_path).read_bytes() == CONTENT


def test_a_changed_version_is_not_put_behind_an_old_part(server, tmp_path):
    file = remote(server, "changed_unnoticed", hashed=False, sized=False)
    assert fetch(file, tmp_path).read_bytes() == CONTENT


def test_after_a_cut_only_the_rest_is_asked_for(server, tmp_path):
    fetch(remote(server, "cut"), tmp_path)
    assert [asked for _, asked in server.requests] == [None, "bytes=15000-"]


def test_the_next_call_goes_on_from_the_part(server, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(CONTENT[:20_000])
    fetch(remote(server, "honest"), tmp_path)
    assert [asked for _, asked in server.requests] == ["bytes=20000-"]


def test_a_part_of_unknown_origin_is_not_gone_on_with_where_no_hash_is_listed(server, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(bytes(20_000))
    assert fetch(remote(server, "honest", hashed=False), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("origin", [b"", b'["http://', b"{}", b"5", b"[1, 2]", b"\xff"])
def test_a_part_whose_origin_is_damaged_is_of_unknown_origin(server, tmp_path, origin):
    (tmp_path / "a.bin.part").write_bytes(bytes(20_000))
    (tmp_path / "a.bin.part.json").write_bytes(origin)
    assert fetch(remote(server, "honest", hashed=False), tmp_path).read_bytes() == CONTENT


def test_a_whole_part_is_not_asked_for_again(server, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(CONTENT)
    assert fetch(remote(server, "missing"), tmp_path).read_bytes() == CONTENT
    assert not server.requests


@pytest.mark.parametrize("old", [bytes(20_000), bytes(30_000), bytes(40_000)])
def test_a_wrong_part_is_fetched_anew_from_the_same_address(server, tmp_path, old):
    (tmp_path / "a.bin.part").write_bytes(old)
    assert fetch(remote(server, "honest"), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("first", FAIL)
def test_the_next_mirror_stands_in(server, tmp_path, first):
    assert fetch(remote(server, first, "honest"), tmp_path).read_bytes() == CONTENT


def test_a_wrong_hash_names_address_expected_and_found(server, tmp_path):
    file = remote(server, "wrong_bytes")
    found = hashlib.sha256(bytes([CONTENT[0] ^ 1]) + CONTENT[1:]).hexdigest()
    with pytest.raises(ValueError) as raised:
        fetch(file, tmp_path)
    told = f"{file.urls[0]}: a.bin has sha256 {found} instead of {file.sha256}"
    assert str(raised.value) == told
    assert leftovers(tmp_path) == []


def test_retry_after_is_waited_for(server, tmp_path):
    waits = []
    fetch_file(remote(server, "too_many"), tmp_path, PATIENCE, waits.append)
    assert waits == [7.0]  # the server asks for 7 s


def test_too_long_a_retry_after_is_given_up(server, tmp_path):
    patience = Patience(longest_wait_s=6.9)
    with pytest.raises(ConnectionError, match="answers 429; the next call goes on"):
        fetch(remote(server, "too_many"), tmp_path, patience)


def test_pauses_double(server, tmp_path):
    waits = []
    closed = RemoteFile("a.bin", ("http://127.0.0.1:9/a.bin",), 1)
    with pytest.raises(ConnectionError):
        fetch_file(closed, tmp_path, Patience(attempts=4, backoff_s=0.5), waits.append)
    assert waits == [0.5, 1.0, 2.0]


def test_a_file_that_is_there_is_hashed_and_kept(server, tmp_path):
    (tmp_path / "a.bin").write_bytes(CONTENT)
    fetch(remote(server, "honest"), tmp_path)
    assert not server.requests


def test_a_file_that_is_there_with_another_hash_is_refused(server, tmp_path):
    (tmp_path / "a.bin").write_bytes(bytes(30_000))
    with pytest.raises(ValueError, match="has sha256 .* instead of .*; remove it"):
        fetch(remote(server, "honest"), tmp_path)


def test_an_unlisted_hash_is_recorded_and_checked_later(server, tmp_path):
    file = remote(server, "honest", hashed=False)
    path = fetch(file, tmp_path)
    digest = hashlib.sha256(CONTENT).hexdigest()
    assert (tmp_path / "a.bin.sha256").read_text() == f"{digest}  a.bin\n"
    path.write_bytes(bytes(30_000))
    with pytest.raises(ValueError, match=f"instead of {digest}"):
        fetch(file, tmp_path)


def test_md5_alone_is_enough_to_refuse(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    listed = RemoteFile("a", (), md5="900150983cd24fb0d6963f7d28e17f72")  # RFC 1321, A.5
    assert difference(tmp_path / "a", listed) is None
    (tmp_path / "a").write_bytes(b"abd")
    assert difference(tmp_path / "a", listed).startswith("has md5 ")


@pytest.mark.parametrize("name", ["../a", "b/a", "..", ""])
def test_a_name_with_folders_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="no file name"):
        fetch(RemoteFile(name, ("http://127.0.0.1:9/",)), tmp_path)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/a", "/etc/passwd"])
def test_only_http_and_https_are_fetched(tmp_path, url):
    with pytest.raises(ValueError, match="neither an http nor an https address"):
        fetch(RemoteFile("a", (url,)), tmp_path)


@pytest.mark.parametrize("location", ["http://b.test/x", "file:///etc/passwd", "ftp://b.test/x"])
def test_a_redirect_to_something_less_safe_is_refused(location):
    with pytest.raises(ValueError, match="leads from https to (http|file|ftp), which is not"):
        redirected("https://a.test/x", location)


def test_a_redirect_to_https_is_followed():
    assert redirected("http://a.test/x/y", "https://b.test/z") == "https://b.test/z"


def test_a_full_disk_is_an_os_error_and_the_part_stays(server, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, hard))  # no file grows beyond
    try:
        with pytest.raises(OSError, match="File too large"):
            fetch(remote(server, "honest"), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / "a.bin.part").stat().st_size == 16_384
    assert fetch(remote(server, "honest"), tmp_path).read_bytes() == CONTENT
    assert server.requests[-1][1] == "bytes=16384-"


def test_more_than_the_disk_has_free_is_refused_at_once(server, tmp_path):
    # The list says 2^60 bytes, and so does no answer: chunks without a length.
    file = RemoteFile("a.bin", (f"{server.base}/long/a.bin",), 2**60, "0" * 64)
    with pytest.raises(OSError, match=r"needs 1152921504.6 GB, .* are free"):
        fetch(file, tmp_path)


def test_a_second_fetch_waits_for_the_first(server, tmp_path):
    with (tmp_path / ".a.bin.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        other = threading.Thread(target=fetch, args=(remote(server, "honest"), tmp_path))
        other.start()
        other.join(0.2)
        assert other.is_alive()
        assert not server.requests
    other.join(5)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
