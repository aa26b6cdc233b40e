import subprocess
import sys
import time

import pytest

from flows.workspace import hold, keep_lock_copy, repair

LOCK = "schema: '2.0'\nstages:\n  a:\n    cmd: echo\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / ".dvc/tmp/finer1").mkdir(parents=True)
    return tmp_path


def test_a_healthy_folder_needs_no_repair(folder):
    (folder / ".dvc/tmp/rwlock").write_text("{}")
    (folder / "dvc.lock").write_text(LOCK)
    assert repair(folder) == []


def test_an_empty_rwlock_is_removed(folder):
    (folder / ".dvc/tmp/rwlock").write_text("")
    assert len(repair(folder)) == 1
    assert not (folder / ".dvc/tmp/rwlock").exists()


def test_an_empty_dvc_lock_is_restored_from_the_copy(folder):
    (folder / "dvc.lock").write_text(LOCK)
    keep_lock_copy(folder)
    (folder / "dvc.lock").write_text("")
    repair(folder)
    assert (folder / "dvc.lock").read_text() == LOCK


def test_an_unreadable_dvc_lock_without_copy_is_removed(folder):
    (folder / "dvc.lock").write_text("schema: '2.0'\nstages: [")
    repair(folder)
    assert not (folder / "dvc.lock").exists()


def test_files_of_a_live_dvc_are_left_alone(folder):
    (folder / ".dvc/tmp/rwlock").write_text("")
    (folder / "dvc").write_text("import time; time.sleep(60)")
    with subprocess.Popen([sys.executable, "dvc"], cwd=folder) as other:
        try:
            with pytest.raises(ValueError, match=str(other.pid)):
                repair(folder)
        finally:
            other.kill()


def test_a_second_holder_is_refused_at_once_and_told_who(folder):
    script = "import sys, time; from pathlib import Path; from flows.workspace import hold\n"
    script += "with hold(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    command = [sys.executable, "-c", script, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout.readline() == "held\n"
            start = time.monotonic()
            with (
                pytest.raises(ValueError, match=rf"process {other.pid} on .* since "),
                hold(folder),
            ):
                pass
            assert time.monotonic() - start < 2
        finally:
            other.kill()


def test_a_killed_holder_blocks_nobody(folder):
    script = "import os, sys; from pathlib import Path; from flows.workspace import hold\n"
    script += "with hold(Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", script, str(folder)], check=False)
    with hold(folder):
        pass
