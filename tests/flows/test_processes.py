import os
import pty
import sys

import psutil
import pytest

from flows import processes
from flows.processes import stream

# What DVC is to its stage: it ignores interrupts while that runs, and waits for its end.
MIDDLE = """
import signal, subprocess, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
subprocess.run([sys.executable, "-c", sys.argv[1]])
"""
# A shell has its background commands ignore interrupts, and they hand that on.
WRITER = """
import os, signal, time
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    print("up", os.getpid(), flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    with Path("told").open("a") as file:
        file.write("once ")
    time.sleep(0.2)
"""
DEAF = """
import os, signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
print("up", os.getpid(), flush=True)
time.sleep(60)
"""


def stopped(folder, *command):
    """The process that said `up`, after a call that was left there by an exception."""
    said = []

    def stop(line):
        said.append(psutil.Process(int(line.split()[1])))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stream([sys.executable, "-c", *command], folder, os.environ, stop)
    return said[0]


def is_working(process):
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("command", [(WRITER,), (MIDDLE, WRITER)], ids=["alone", "below another"])
def test_who_writes_is_interrupted_once_and_gone(tmp_path, command):
    assert not is_working(stopped(tmp_path, *command))
    assert (tmp_path / "told").read_text() == "once "


@pytest.mark.parametrize("command", [(DEAF,), (MIDDLE, DEAF)], ids=["alone", "below another"])
def test_who_does_not_listen_is_killed(tmp_path, monkeypatch, command):
    monkeypatch.setattr(processes, "_PATIENCE_S", 0.5)
    assert not is_working(stopped(tmp_path, *command))


def test_a_child_that_ended_by_itself_leaves_nothing_running(tmp_path):
    # The grandchild lives on while its parent ends at the interrupt.
    parent = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGINT, signal.SIG_DFL)\n"
        f"subprocess.Popen([sys.executable, '-c', {DEAF!r}])\n"
        "time.sleep(60)"
    )
    assert not is_working(stopped(tmp_path, parent))


def test_a_child_knows_who_started_it(tmp_path):
    lines = []
    command = [sys.executable, "-c", "import os; print(os.environ['FINER1_STARTER'])"]
    assert stream(command, tmp_path, os.environ, lines.append) == 0
    assert lines == [str(os.getpid())]


def test_ctrl_c_of_a_terminal_interrupts_who_writes_once(tmp_path, repository):
    # In a session of its own, with a terminal whose Ctrl-C goes to all of its processes.
    call = (
        "import os, signal, sys; from pathlib import Path; from flows.processes import stream\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a test in the background
        f"stream([sys.executable, '-c', {MIDDLE!r}, {WRITER!r}], Path({str(tmp_path)!r}), "
        "os.environ, lambda line: print(line, flush=True))"
    )
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(repository)
        os.execv(sys.executable, [sys.executable, "-c", call])
    said = b""
    while b"up " not in said:
        said += os.read(terminal, 1024)
    os.write(terminal, b"\x03")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) != 0
    assert (tmp_path / "told").read_text() == "once "
