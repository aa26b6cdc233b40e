"""Two starts at the same moment: one works, the other refuses at once and says who works."""

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from flows.workspace import hold
from tasks.stage import _owned


def races(folder: Path, count: int) -> float:
    """Race for a project's folder, and for a stage's; the longest time to a refusal, in seconds.

    Raises AssertionError when both or none had it.
    """
    holds: list[Callable[[], AbstractContextManager[object]]] = [
        lambda: hold(folder),
        lambda: _owned(folder / "scratch", "sft"),
    ]
    slowest = 0.0
    folder.mkdir(parents=True)
    for number in range(count):
        gate, release = os.pipe(), os.pipe()
        children = [_contend(holds[number % 2], gate, release) for _ in range(2)]
        for end in (gate[0], release[0], gate[1]):  # both start at the end of this
            os.close(end)
        first, status = os.waitpid(-1, 0)
        os.close(release[1])
        (other,) = set(children) - {first}
        codes = [os.waitstatus_to_exitcode(word) for word in (status, os.waitpid(other, 0)[1])]
        assert codes[0] in range(1, 255), f"race {number}: {codes}"
        assert codes[1] == 0, f"race {number}: {codes}"
        slowest = max(slowest, codes[0] / 100)
    return slowest


def _contend(
    held: Callable[[], AbstractContextManager[object]],
    gate: tuple[int, int],
    release: tuple[int, int],
) -> int:
    """A child that takes what it can once the gate closes, and holds it until the release does.

    It ends with 0 when it had it, else with the hundredths of a second until it was refused.
    """
    child = os.fork()
    if child:
        return child
    code = 255
    try:
        os.close(gate[1])
        os.close(release[1])
        os.read(gate[0], 1)
        start = time.monotonic()
        try:
            with held():
                os.read(release[0], 1)
            code = 0
        except ValueError as error:
            is_told = f"process {os.getpid()}" not in str(error) and "process" in str(error)
            code = 1 + min(253, int(100 * (time.monotonic() - start))) if is_told else 255
    finally:
        os._exit(code)
