import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from finer1.reference.release import ReleasedFile, released_files
from finer1.released.files import absent_files, obtain_released

CONTENTS = {"a_seen.jsonl": b"1\n", "b_seen.jsonl": b"22\n"}


def listed(base="http://127.0.0.1:9"):
    return tuple(
        ReleasedFile(name, f"{base}/{name}", len(content), hashlib.sha256(content).hexdigest())
        for name, content in CONTENTS.items()
    )


@pytest.fixture
def given(tmp_path):
    """A folder that holds both files, at different depths."""
    folder = tmp_path / "given"
    for place, (name, content) in zip(("", "deep/er"), CONTENTS.items(), strict=True):
        (folder / place).mkdir(parents=True)
        (folder / place / name).write_bytes(content)
    return folder


@pytest.fixture
def served(given):
    """Address of a server of the first file."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=given))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_files_are_copied_from_any_depth(given, tmp_path):
    target = tmp_path / "released"
    paths = obtain_released(target, given, listed())
    assert {path.name: path.read_bytes() for path in paths} == CONTENTS
    assert absent_files(target, listed()) == ()


def test_part_is_enough_and_the_rest_is_named(given, tmp_path):
    (given / "a_seen.jsonl").unlink()
    target = tmp_path / "released"
    assert [path.name for path in obtain_released(target, given, listed())] == ["b_seen.jsonl"]
    assert absent_files(target, listed()) == ("a_seen.jsonl",)


@pytest.mark.parametrize(("content", "said"), [(b"3\n", "SHA-256 "), (b"longer\n", "7 bytes")])
def test_other_content_is_refused_and_nothing_copied(content, said, given, tmp_path):
    (given / "a_seen.jsonl").write_bytes(content)
    with pytest.raises(ValueError, match=rf"a_seen.jsonl: {said}.* but the released file has 2 by"):
        obtain_released(tmp_path / "released", given, listed())
    assert not (tmp_path / "released").exists()


def test_right_one_of_two_is_taken(given, tmp_path):
    (given / "deep" / "a_seen.jsonl").write_bytes(b"3\n")
    obtain_released(tmp_path / "released", given, listed())
    assert (tmp_path / "released" / "a_seen.jsonl").read_bytes() == b"1\n"


def test_folder_without_any_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds none of the released files"):
        obtain_released(tmp_path / "released", tmp_path, listed())
    with pytest.raises(ValueError, match="nowhere is no folder"):
        obtain_released(tmp_path / "released", tmp_path / "nowhere", listed())


def test_without_a_folder_files_are_downloaded(served, tmp_path):
    first = listed(served)[:1]
    (path,) = obtain_released(tmp_path / "released", None, first)
    assert path == tmp_path / "released" / "a_seen.jsonl"
    assert path.read_bytes() == b"1\n"


def test_downloaded_file_of_another_content_gets_no_name(served, given, tmp_path):
    (given / "a_seen.jsonl").write_bytes(b"3\n")
    with pytest.raises((ValueError, OSError), match="a_seen.jsonl"):
        obtain_released(tmp_path / "released", None, listed(served)[:1])
    assert not (tmp_path / "released" / "a_seen.jsonl").exists()


def test_all_files_at_hand_are_the_listed_ones(reference, tmp_path):
    target = tmp_path / "released"
    assert len(obtain_released(target, reference)) == 6
    assert len(absent_files(target)) == len(released_files()) - 6


def test_sample_is_not_taken_for_the_whole(sample, tmp_path):
    with pytest.raises(ValueError, match="but the released file has 1740839 bytes"):
        obtain_released(tmp_path / "released", sample)
