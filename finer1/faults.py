"""Named points at which a test can make a run fail; in every other run they do nothing.

A fault is written `<point>:<visit>:<action>`, as in `save:after_weights:3:kill`: the third time
that a process passes the point, it is killed. The point may be a pattern (`file:*`, `*`), whose
visits are counted together. Actions:

    kill      SIGKILL: nothing is cleaned up
    raise     RuntimeError
    enospc    OSError, the disk is full; from that visit on, as a full disk stays full
    hang      sleep until killed
    nan       the number that passes becomes NaN; at a point without a number, nothing happens

Named, counted points are those of torchft's EventInjector.
"""

import errno
import fnmatch
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, get_args

Action = Literal["kill", "raise", "enospc", "hang", "nan"]
_HANG_S = 3600.0


@dataclass
class _Fault:
    """A fault on its way."""

    pattern: str
    visit: int
    action: Action
    visits: int = 0

    def is_due(self, name: str) -> bool:
        """Count a visit; true when it is the one."""
        if not fnmatch.fnmatchcase(name, self.pattern):
            return False
        self.visits += 1
        return self.visits == self.visit or (self.action == "enospc" and self.visits > self.visit)


# State of the process, as the fault is that of a process: a point lies deep inside of functions
# that know nothing of tests.
_armed: list[_Fault] = []
_seen: list[list[str]] = []


def arm(text: str | None) -> None:
    """Let the fault of `text` happen in this process, and none other; None for no fault.

    Raises ValueError when the text is no fault.
    """
    _armed.clear()
    if not text:
        return
    pattern, _, rest = text.rpartition(":")[0].rpartition(":")
    action = text.rpartition(":")[2]
    if not pattern or not rest.isdecimal() or int(rest) < 1 or action not in get_args(Action):
        raise ValueError(
            f"FINER1_FAULT={text} is no fault; write <point>:<visit from 1 on>:"
            f"<{'|'.join(get_args(Action))}>"
        )
    _armed.append(_Fault(pattern, int(rest), action))  # type: ignore[arg-type]


def point(name: str) -> None:
    """Pass a point; with a fault that is due, fail there."""
    if not _armed and not _seen:
        return
    for names in _seen:
        names.append(name)
    for fault in _armed:
        if fault.is_due(name):
            _fail(fault.action, name)


def number(name: str, value: float) -> float:
    """`value`, or NaN where a fault is due."""
    if _armed or _seen:
        for names in _seen:
            names.append(name)
        for fault in _armed:
            if fault.is_due(name):
                _fail(fault.action, name)
                return float("nan") if fault.action == "nan" else value
    return value


@contextmanager
def recorded() -> Iterator[list[str]]:
    """The points that are passed in the block, in order."""
    names: list[str] = []
    _seen.append(names)
    try:
        yield names
    finally:
        _seen.remove(names)


def _fail(action: Action, name: str) -> None:
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "hang":
        time.sleep(_HANG_S)
    elif action == "raise":
        raise RuntimeError(f"fault at {name}")
    elif action == "enospc":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
