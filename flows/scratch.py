"""A scratch folder for a command that is no stage and may run several times at once."""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def scratch_folder(root: Path) -> Iterator[Path]:
    """A folder of this process alone, gone at the end; those of killed processes go with it.

    Adapters are merged there, into as many bytes as the model has.
    """
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".ask.lock").open("w") as door:
        fcntl.flock(door, fcntl.LOCK_EX)
        for other in root.glob("ask-*/"):
            _remove_unheld(other)
        folder = Path(tempfile.mkdtemp(prefix="ask-", dir=root))
        lock = (folder / ".lock").open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.close()


def _remove_unheld(folder: Path) -> None:
    with (folder / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        shutil.rmtree(folder, ignore_errors=True)
