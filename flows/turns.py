"""Runs in one folder, one after the other: a deployed run waits where a typed one is refused."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from flows.workspace import hold

_PAUSE_S = 5.0


@contextmanager
def hold_in_turn(root: Path, say: Callable[[str], None] | None) -> Iterator[None]:
    """Hold the folder for the block, waiting for whoever has it; `say` is told once who that is.

    say: None refuses at once, as `hold` does. Raises ValueError then.
    """
    with ExitStack() as stack:
        is_told = False
        while True:
            try:
                stack.enter_context(hold(root))
                break
            except ValueError as error:
                if say is None:
                    raise
                if not is_told:
                    say(f"{error}; this run waits")
                is_told = True
            time.sleep(_PAUSE_S)
        yield
