"""Whose fault an error of a stage was: the user's, the machine's, or the code's."""

import errno
import re
import traceback
from pathlib import Path

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


def judge(error: Exception) -> tuple[int, str]:
    """The exit code, and what to say; an error that was not meant for the user is printed whole."""
    if is_disk_full(error):
        # Of a library, it names no place; ours says already what is needed and what is free.
        told = (error.strerror or "") if isinstance(error, OSError) else ""
        if "are free" in told:
            return MACHINE, told
        return MACHINE, f"{error} ({disk_full(Path.cwd() / 'x', 0).strerror})"
    if isinstance(error, ConnectionError | MemoryError):
        return MACHINE, str(error) or "out of memory"
    is_ours = _is_ours(error)
    if isinstance(error, ValueError | FileNotFoundError):
        if is_ours:
            return BAD_INPUT, str(error)
        traceback.print_exception(error)
        return FAILED, ""
    if isinstance(error, OSError) and is_ours and error.errno is None:
        return MACHINE, str(error)  # a process of ours was killed, for instance
    if isinstance(error, OSError):
        traceback.print_exception(error)
        return (MACHINE if error.errno in _MACHINE_ERRNOS else FAILED), ""
    if not is_ours:
        traceback.print_exception(error)
    return (MACHINE if _MACHINE_WORDS.search(str(error)) else FAILED), str(error)


def _is_ours(error: BaseException) -> bool:
    """True when the error was raised by this project, not by a library it calls."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    project = Path(__file__).resolve().parents[1]
    path = Path(frame.tb_frame.f_code.co_filename).resolve() if frame else project
    return path.is_relative_to(project) and "site-packages" not in path.parts
