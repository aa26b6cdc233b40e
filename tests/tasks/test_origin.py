import os
import subprocess
import sys

import pytest

from tasks.origin import has_lost_starter

# Says whether it has lost its starter; as an orphan when its parent has gone.
BELOW = """
import os, sys, time
from tasks.origin import has_lost_starter
while sys.argv[2:] == ["orphan"] and os.getppid() == int(sys.argv[1]):
    time.sleep(0.02)
print(has_lost_starter(os.environ))
"""
MIDDLE = """
import os, subprocess, sys
below, *words = sys.argv[1:]
child = subprocess.Popen([sys.executable, "-c", below, str(os.getpid()), *words])
if not words:
    child.wait()
"""


@pytest.mark.parametrize(("words", "expected"), [([], "False"), (["orphan"], "True")])
def test_a_process_below_one_that_died_has_lost_its_starter(words, expected):
    environ = {**os.environ, "FINER1_STARTER": str(os.getpid())}
    command = [sys.executable, "-c", MIDDLE, BELOW, *words]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == expected


def test_who_was_started_by_hand_has_none_to_lose():
    assert not has_lost_starter({})
    assert not has_lost_starter({"FINER1_STARTER": str(os.getppid())})
    assert not has_lost_starter({"FINER1_STARTER": "1"})
