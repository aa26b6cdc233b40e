import os
import subprocess
import sys
import time

import pytest

CHILD = "import time; print('up', flush=True); time.sleep(60)"
PARENT = (
    "import subprocess, sys, time\n"
    "from finer1.lifetime import dying_with_parent\n"
    f"child = subprocess.Popen([sys.executable, '-c', {CHILD!r}], stdout=subprocess.PIPE,"
    " preexec_fn=dying_with_parent())\n"
    "child.stdout.readline()\n"
    "print(child.pid, flush=True)\ntime.sleep(60)\n"
)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone gives the signal")
def test_a_child_ends_with_a_killed_parent():
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        child = int(parent.stdout.readline())
        os.kill(child, 0)
        parent.kill()
    for _ in range(50):
        if not _is_running(child):
            break
        time.sleep(0.1)
    assert not _is_running(child)


def _is_running(process):
    """False of a process that is gone, or that nobody has asked for its end yet."""
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
