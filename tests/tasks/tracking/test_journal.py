import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from tasks.tracking.journal import find_journals, journals_folder, new_journal, take_journal

START = {"params": {}, "tags": {}, "parent": None}


def test_records_come_back_in_order_and_once(tmp_path):
    journal, key = new_journal(journals_folder(tmp_path), "sft", START)
    journal.append("metrics", step=1, values={"loss/total": 2.0})
    start, metrics = journal.read()
    assert (start["kind"], start["key"], start["name"]) == ("start", key, "sft")
    assert (metrics["kind"], metrics["step"], metrics["values"]) == (
        *("metrics", 1),
        {"loss/total": 2.0},
    )
    assert journal.read() == []


def test_a_copied_file_may_go(tmp_path):
    source = tmp_path / "report.html"
    source.write_text("page")
    journal, _ = new_journal(journals_folder(tmp_path), "report", START)
    name = journal.attach(source)
    source.unlink()
    assert (journal.folder / name).read_text() == "page"


@pytest.mark.parametrize("cut", range(1, 60))
def test_only_a_torn_last_line_is_lost(tmp_path, cut):
    journal, _ = new_journal(journals_folder(tmp_path), "sft", START)
    journal.append("metrics", step=1, values={})
    journal.append("metrics", step=2, values={})
    journal.close()
    lines = journal.folder / "journal.jsonl"
    content = lines.read_bytes()
    # The last line is {"kind": "metrics", "time": <13 digits>, "step": 2, "values": {}}: 68 bytes.
    lines.write_bytes(content[:-cut])
    kinds = [(entry["kind"], entry.get("step")) for entry in take_journal(journal.folder).read()]
    assert kinds == [("start", None), ("metrics", 1)]


@contextmanager
def full_disk(file, room):
    """Let files grow to the size of `file` and `room` bytes more, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_line_that_the_disk_took_in_part_costs_no_other(tmp_path):
    journal, _ = new_journal(journals_folder(tmp_path), "sft", START)
    journal.append("metrics", step=1, values={})
    lines = journal.folder / "journal.jsonl"
    before = lines.read_bytes()
    with full_disk(lines, 10), pytest.raises(OSError, match="too large"):
        journal.append("metrics", step=2, values={})
    assert lines.read_bytes() == before
    journal.append("end", status="FINISHED")
    assert [entry["kind"] for entry in journal.read()] == ["start", "metrics", "end"]


def test_a_torn_line_is_read_when_it_is_whole(tmp_path):
    journal, _ = new_journal(journals_folder(tmp_path), "sft", START)
    with (journal.folder / "journal.jsonl").open("a") as lines:
        lines.write('{"kind": "end"')
        lines.flush()
        assert [entry["kind"] for entry in journal.read()] == ["start"]
        assert journal.read() == []
        lines.write("}\n")
    assert journal.read() == [{"kind": "end"}]


def test_a_held_journal_is_nobody_elses(tmp_path):
    journal, _ = new_journal(journals_folder(tmp_path), "sft", START)
    assert take_journal(journal.folder) is None
    journal.close()
    assert take_journal(journal.folder) is not None


def test_a_kill_lets_go_of_a_journal(tmp_path):
    script = (
        "import sys; from pathlib import Path; from tasks.tracking.journal import new_journal\n"
        f"held = new_journal(Path(sys.argv[1]), 'sft', {START})\n"
        "print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(journals_folder(tmp_path))]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:
        process.stdout.readline()
        (folder,) = find_journals(tmp_path)
        assert take_journal(folder) is None
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert take_journal(folder) is not None


def test_a_removed_journal_is_gone_even_if_the_removal_was_cut_short(tmp_path):
    journal, _ = new_journal(journals_folder(tmp_path), "sft", START)
    journal.folder.rename(journal.folder.with_name(f".done-{journal.folder.name}"))
    assert find_journals(tmp_path) == []
    assert list(journals_folder(tmp_path).iterdir()) == []


def test_a_journal_that_a_kill_ended_before_it_appeared_is_removed(tmp_path):
    journal, _ = new_journal(journals_folder(tmp_path), "sft", START)
    new = journal.folder.rename(journal.folder.with_name(f".new-{journal.folder.name}"))
    os.utime(new, (0, 0))
    assert find_journals(tmp_path) == []
    assert new.exists()  # its process lives
    journal.close()
    os.utime(new, (0, 0))
    assert find_journals(tmp_path) == []
    assert not new.exists()


def test_the_copy_of_a_project_keeps_its_journals_in_the_project(tmp_path, monkeypatch):
    monkeypatch.setenv("FINER1_HOME", str(tmp_path / "home"))
    journal, _ = new_journal(journals_folder(tmp_path / "copy"), "sft", START)
    assert journal.folder.parent == tmp_path / "home" / "logs" / "tracking"


def test_journals_are_found_in_the_order_in_which_they_began(tmp_path):
    folders = [
        new_journal(journals_folder(tmp_path), name, START)[0].folder
        for name in ("tapo", "sft", "a")
    ]
    assert find_journals(tmp_path) == folders


def test_a_clock_that_is_set_back_makes_no_run_end_before_it_began(tmp_path, monkeypatch):
    journal, _ = new_journal(journals_folder(tmp_path), "sft", START)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    journal.append("end", status="FINISHED")
    start, end = (entry["time"] for entry in journal.read())
    assert 0 <= end - start < 60_000
