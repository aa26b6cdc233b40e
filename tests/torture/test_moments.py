import os
import random
import subprocess
import sys
from resource import struct_rusage

import pytest

from tests.torture.moments import Length, await_moment, kill, processor_time

BUSY = "import time\nwhile time.process_time() < {}: pass"


@pytest.fixture
def busy():
    """Starts a process that is busy for some seconds of processor time."""
    started = []

    def busy(seconds):
        started.append(subprocess.Popen([sys.executable, "-S", "-c", BUSY.format(seconds)]))
        return started[-1].pid

    yield busy
    for process in started:
        process.kill()
        process.wait()


def test_a_moment_is_one_of_processor_time(busy):
    pid = busy(60)
    assert await_moment(pid, 0.2)
    assert 0.2 <= processor_time(pid) < 5
    assert kill(pid)


def test_a_moment_after_the_end_is_told(busy):
    pid = busy(0)
    assert not await_moment(pid, 30)
    os.waitpid(pid, 0)
    assert not await_moment(pid, 30)
    assert not kill(pid)


def test_moments_lie_within_the_latest_lengths():
    length, draw = Length(), random.Random(0)
    for seconds in (100, 2, 2, 3, 1, 9):  # the five latest: 1 2 2 3 9
        length.add(struct_rusage((seconds / 2, seconds / 2, *[0] * 14)))
    drawn = [length.draw(draw) for _ in range(200)]
    assert 0 <= min(drawn) < 0.1
    assert 1.9 < max(drawn) <= 2


def test_the_time_of_children_counts():
    child = os.fork()
    if not child:
        try:
            subprocess.run([sys.executable, "-S", "-c", BUSY.format(0.3)], check=True)
            os.read(os.pipe()[0], 1)
        finally:
            os._exit(0)
    try:
        assert await_moment(child, 0.3)
    finally:
        kill(child)
        os.waitpid(child, 0)
