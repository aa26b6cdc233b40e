"""Whose fault an error is: the exit code of a stage, and what is said."""

import errno
import re
from pathlib import Path

from safetensors import SafetensorError

from finer1.files import disk_full, is_disk_full
from tasks.exit_codes import BAD_INPUT, FAILED, MACHINE

_MACHINE_ERRNOS = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EIO,
    errno.ENOMEM,
    errno.EROFS,
}
_MACHINE_WORDS = re.compile(
    rf"os error ({'|'.join(map(str, _MACHINE_ERRNOS))})\b"  # safetensors, from Rust
    r"|can't allocate memory|out of memory|PytorchStreamWriter failed"
)
"""What libraries say of disk and memory in errors that carry no errno."""
EXPECTED = (ValueError, MemoryError, OSError, RuntimeError, SafetensorError)
"""What a stage may end with; any other error is one of the program."""


def judge(error: Exception, folder: Path) -> tuple[int, str, bool]:
    """Exit code, one sentence, and whether the traceback is to be shown, too; error: of EXPECTED.

    folder: of the project, on whose disk it writes.
    """
    if is_disk_full(error):
        # Of a library, it names no place; of ours, it says already what is needed.
        is_told = isinstance(error, OSError) and "are free" in (error.strerror or "")
        text = error.strerror if is_told else f"{error} ({disk_full(folder / 'x', 0).strerror})"
        return MACHINE, str(text), False
    if isinstance(error, ValueError | FileNotFoundError):
        return (BAD_INPUT, str(error), False) if _is_ours(error) else (FAILED, str(error), True)
    if isinstance(error, ConnectionError | MemoryError):
        return MACHINE, str(error) or "out of memory", False
    if isinstance(error, OSError):
        return MACHINE if error.errno in _MACHINE_ERRNOS else FAILED, str(error), True
    code = MACHINE if _MACHINE_WORDS.search(str(error)) else FAILED
    return code, str(error), not _is_ours(error)


def _is_ours(error: BaseException) -> bool:
    """True when the error was raised by this project, not by a library it calls."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    project = Path(__file__).resolve().parents[1]
    path = Path(frame.tb_frame.f_code.co_filename).resolve() if frame else project
    return path.is_relative_to(project) and "site-packages" not in path.parts
