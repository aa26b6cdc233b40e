import subprocess
import sys
import time

import pytest

from flows.dag import is_readable_lock
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


RWLOCK = '{"/a/data": {"write": {"pid": 4711, "cmd": "dvc repro"}, "read": []}}'
TWO = LOCK + "  b:\n    cmd: echo b\n    outs:\n    - path: x\n      md5: d41d8cd98f00b204\n"


def test_a_rwlock_cut_at_any_byte_is_removed(folder):
    for length in range(len(RWLOCK)):
        (folder / ".dvc/tmp/rwlock").write_text(RWLOCK[:length])
        assert len(repair(folder)) == 1, length
        assert not (folder / ".dvc/tmp/rwlock").exists()


@pytest.mark.parametrize("has_copy", [True, False])
def test_a_dvc_lock_cut_at_any_byte_can_be_read_again(folder, has_copy):
    # What is left may be whole by itself, with fewer stages: those come from DVC's run cache.
    path = folder / "dvc.lock"
    for length in range(len(TWO)):
        path.write_text(TWO)
        if has_copy:
            keep_lock_copy(folder)
        path.write_text(TWO[:length])
        done = repair(folder)
        if done:
            assert path.exists() == has_copy
            assert not has_copy or path.read_text() == TWO
        else:
            assert is_readable_lock(path), length


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
