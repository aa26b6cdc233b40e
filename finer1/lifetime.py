"""A process that ends with its parent, so that no killed run leaves a writer or a model behind."""

import ctypes
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def dying_with_parent() -> Callable[[], None]:
    """A call by which a process asks Linux to be killed with its parent; elsewhere it does nothing.

    Make it before a fork and call it after: between fork and exec nothing may take a lock, as
    loading a library does. A parent that is gone already gives no signal.
    """
    if sys.platform != "linux":
        return lambda: None
    prctl = ctypes.CDLL(None).prctl

    def die_with_parent() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    return die_with_parent
