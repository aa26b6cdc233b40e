"""When to kill: moments are drawn in processor time, which a busy machine stretches little.

A length in seconds that was measured once tells little of the next run on a machine that others
use, and a moment that comes after the end hits nothing.
"""

import os
import random
import signal
import statistics
import time
from collections import deque
from contextlib import suppress
from resource import struct_rusage

import psutil

_POLL_S = 0.02
_LAST = 5
_FAR_S = 900.0
"""Something that takes no processor time for ever is a test that hangs."""


class Length:
    """The processor time of one kind of run, by the last ones that nothing disturbed."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=_LAST)

    def add(self, usage: struct_rusage) -> None:
        """One more undisturbed run, with all that it waited for."""
        self._seconds.append(usage.ru_utime + usage.ru_stime)

    def draw(self, draw: random.Random) -> float:
        """A moment, in seconds of processor time, each as likely as another."""
        return draw.uniform(0, statistics.median(self._seconds))


def below(pid: int) -> list[psutil.Process]:
    """The living descendants of a process."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def words(process: psutil.Process) -> list[str]:
    """Its command line; empty when it is gone."""
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []


def processor_time(pid: int) -> float | None:
    """Seconds of a process and of all below it, those that ended among them; None when it ended."""
    seconds = 0.0
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return None
    for each in family:
        with suppress(psutil.NoSuchProcess):
            seconds += sum(each.cpu_times()[:4])  # its own, and of children that it waited for
    return seconds


def await_moment(pid: int, moment: float) -> bool:
    """Wait until the process has come so far; False when it ended before."""
    end = time.monotonic() + _FAR_S
    while time.monotonic() < end:
        seconds = processor_time(pid)
        if seconds is None or seconds >= moment:
            return seconds is not None
        time.sleep(_POLL_S)
    raise AssertionError(f"process {pid} stands still at {seconds} s of processor time")


def kill(pid: int) -> bool:
    """Kill a process; False when it was gone."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def kill_group(pid: int) -> bool:
    """Kill a process group; False when it was gone."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return False
    return True
