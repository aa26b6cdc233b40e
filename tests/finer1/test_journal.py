import errno
import os
import subprocess
import sys

import pytest

from finer1.journal import append_row, read_rows
from finer1.records import Decision


def decision(name="cot/a"):
    return Decision(name, "0" * 64, "accept", "me", "2026-01-01T00:00:00Z")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "decisions.jsonl"


def test_each_decision_is_a_line(path):
    append_row(path, decision("cot/a"))
    append_row(path, decision("cot/\u00e9"))
    assert path.read_bytes().count(b"\n") == 2
    assert [row.id for row in read_rows(path, Decision)] == ["cot/a", "cot/\u00e9"]


def test_without_a_file_there_is_no_decision(path):
    assert read_rows(path, Decision) == []


def test_torn_last_line_is_cut_off_and_told(path, caplog):
    append_row(path, decision())
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])
    assert len(read_rows(path, Decision)) == 1
    assert path.read_bytes() == whole
    assert "cut off 40 bytes of a line that was not fully written" in caplog.text


def test_decision_after_a_torn_line_is_whole(path):
    append_row(path, decision("cot/a"))
    path.write_bytes(path.read_bytes() + b'{"id": "cot/b", ')
    append_row(path, decision("cot/c"))
    assert [row.id for row in read_rows(path, Decision)] == ["cot/a", "cot/c"]


def test_whole_line_without_its_newline_stays(path):
    append_row(path, decision("cot/a"))
    path.write_bytes(path.read_bytes().rstrip())
    append_row(path, decision("cot/b"))
    assert [row.id for row in read_rows(path, Decision)] == ["cot/a", "cot/b"]


def test_broken_line_in_the_middle_is_named(path):
    append_row(path, decision())
    path.write_bytes(b"{}\n" + path.read_bytes())
    with pytest.raises(ValueError, match=r"decisions.jsonl:1: id"):
        read_rows(path, Decision)


def test_full_disk_leaves_the_file_as_it_was(path, monkeypatch):
    append_row(path, decision())
    before = path.read_bytes()

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        append_row(path, decision("cot/b"))
    assert path.read_bytes() == before


def test_write_that_stops_half_way_leaves_the_file_as_it_was(path, repository):
    append_row(path, decision())
    before = path.read_bytes()
    code = (
        "import resource, sys; from pathlib import Path; from finer1.records import Decision;"
        "from finer1.journal import append_row; path = Path(sys.argv[1]);"
        "size = path.stat().st_size + 20;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (size, size));"
        "append_row(path, Decision('cot/b', '0' * 64, 'accept', 'me', 't'))"
    )
    child = subprocess.run(
        [sys.executable, "-c", code, str(path)], cwd=repository, capture_output=True, text=True
    )
    assert child.returncode == 1
    assert "OSError: [Errno 27] File too large" in child.stderr
    assert path.read_bytes() == before


def test_two_processes_lose_no_line(path, repository):
    code = (
        "import sys; from pathlib import Path; from finer1.records import Decision;"
        "from finer1.journal import append_row;"
        "[append_row(Path(sys.argv[1]), Decision(f'{sys.argv[2]}/{i}', '0' * 64, 'accept',"
        " 'me', 't')) for i in range(100)]"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(path), name], cwd=repository)
        for name in ("a", "b")
    ]
    assert [writer.wait() for writer in writers] == [0, 0]
    rows = [row.id for row in read_rows(path, Decision)]
    assert sorted(rows) == sorted(f"{name}/{i}" for name in "ab" for i in range(100))
