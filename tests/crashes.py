"""Ends processes at points, and tells what they left behind."""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from finer1 import faults
from finer1.files import sha256_file

FULL = 3
"""Exit status of a child that met a full disk."""


def in_child(act: Callable[[], None], fault: str | None = None) -> int:
    """Exit status of a forked process that does `act` with a fault; -9 when it was killed."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code, names = 1, [""]
    try:
        faults.arm(fault)
        with faults.recorded() as names:
            act()
        code = 0
    except OSError as error:
        # A removal writes nothing, and so says nothing of what is needed.
        code = FULL if "are free" in str(error) or names[-1].endswith(":remove_old") else 1
        if code == 1:
            traceback.print_exc()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def tree(folder: Path, without: tuple[str, ...] = ()) -> dict[str, str]:
    """SHA-256 of every file below a folder, by its path; names of files or folders to leave out."""
    return {
        str(path.relative_to(folder)): sha256_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not set(path.relative_to(folder).parts) & set(without)
    }


def litter(folder: Path) -> list[str]:
    """Names under which something is written before it gets its own."""
    return [str(path) for path in folder.rglob(".*") if path.suffix in (".part", ".old")]


def survives_everywhere(
    act: Callable[[Path], None],
    root: Path,
    action: str,
    check: Callable[[Path], None] = lambda folder: None,
    without: tuple[str, ...] = (),
) -> int:
    """Fail at the first, second, ... point that `act` passes, then do it again undisturbed.

    The second time must leave, byte for byte, what one undisturbed time leaves, and nothing else.
    act: done in the folder that it is given, which is empty at first. check: of what the failure
    left. Returns the number of points.
    """
    whole = root / "whole"
    whole.mkdir(parents=True)
    act(whole)  # here, so that what it imports is there for all children
    expected = tree(whole, without)
    number = 0
    while True:
        folder = root / str(number + 1)
        folder.mkdir()
        fault = f"*:{number + 1}:{action}"
        status = in_child(lambda: act(folder), fault)  # noqa: B023
        if status == 0:
            return number
        number += 1
        assert status == {"kill": -signal.SIGKILL, "enospc": FULL}[action], fault
        if action == "enospc":
            assert litter(folder) == [], fault
        check(folder)
        assert in_child(lambda: act(folder)) == 0, fault  # noqa: B023
        assert tree(folder, without) == expected, fault
        assert litter(folder) == [], fault
