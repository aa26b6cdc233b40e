"""The program that parses `.mat` files, in a process that may crash; finer1/datasets/matlab.py
starts it.

A damaged file can end the interpreter in scipy.io.loadmat, which is "not hardened for untrusted
input" (scipy#25166): of 600 mutated files 22 did. Each file is therefore parsed in a fork of its
own, with limits on memory, time and files, so that nothing one file breaks reaches the next.

Standard input: for each file a JSON line {"bytes": n, "variables": [...]} and its n bytes.
Standard output: for each file a JSON line [exit code, text]; the text is {column: [values]} in
JSON where the code is 0, else the last words of the parser. Only the standard library, scipy and
finer1/lifetime.py are imported, as the program runs by its path in Python's isolated mode.
"""

import io
import json
import os
import resource
import signal
import sys
import warnings
from pathlib import Path
from types import TracebackType
from typing import Any

MEMORY_BYTES = 2 << 30
CPU_S = 20
ANSWER_BYTES = 64 << 20
"""Most that one file's columns may take; those of Stanford Dogs take 1 MB."""
MOST_VALUES = 1_000_000
"""Most values of one variable; a few KB of zeros, compressed, could become billions."""


def main() -> None:
    """Answer each request on standard input; the only argument is the parent's process id."""
    # Last, so that no file beside the project's stands before the modules of the libraries.
    sys.path.append(str(Path(__file__).resolve().parents[2]))
    _die_with_parent(int(sys.argv[1]))
    # Threads would count against the memory limit, and there is nothing here for them to do.
    os.putenv("OPENBLAS_NUM_THREADS", "1")
    import scipy.io  # noqa: F401  before the first fork, which then need not import it

    for line in sys.stdin.buffer:
        request = json.loads(line)
        content = sys.stdin.buffer.read(request["bytes"])
        print(json.dumps(_parse_apart(content, request["variables"])), flush=True)


def _parse_apart(content: bytes, variables: list[str]) -> tuple[int, str]:
    """Exit code of a fork that parses the content, and the last line it wrote."""
    reader, writer = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        _die_with_parent(parent)
        os.close(reader)
        os.dup2(writer, sys.stderr.fileno())
        sys.excepthook = _end_with
        _limit()
        text = json.dumps(_columns(content, variables), allow_nan=False)
        with os.fdopen(writer, "w") as answer:
            answer.write(text)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answers:
        written = answers.read(ANSWER_BYTES + 1)
    if len(written) > ANSWER_BYTES:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if len(written) > ANSWER_BYTES:
        return 1, f"more than {ANSWER_BYTES} bytes of values"
    lines = written.decode("utf-8", errors="replace").splitlines()
    return os.waitstatus_to_exitcode(status), lines[-1] if lines else ""


def _end_with(kind: type[BaseException], error: BaseException, _: TracebackType | None) -> None:
    """Say what ended the fork in one line; a traceback would read the sources of scipy."""
    sys.stderr.write(" ".join(f"{kind.__name__}: {error}".split()))
    sys.stderr.flush()
    os._exit(1)


def _columns(content: bytes, variables: list[str]) -> dict[str, list[Any]]:
    """Values per variable, or per field "variable.field" of a struct array, in MATLAB's order."""
    from scipy.io import loadmat

    warnings.simplefilter("ignore")
    found = loadmat(io.BytesIO(content), variable_names=variables)
    columns: dict[str, list[Any]] = {}
    for name in variables:
        if name not in found:
            continue
        cells = found[name].ravel(order="F")
        if cells.size > MOST_VALUES:
            raise ValueError(f"{name} has {cells.size} values")
        if cells.dtype.names:
            for field in cells.dtype.names:
                columns[f"{name}.{field}"] = [_plain(value) for value in cells[field]]
        else:
            columns[name] = [_plain(value) for value in cells]
    return columns


def _plain(value: Any) -> Any:
    """A number or text without the 1 x 1 arrays that MATLAB wraps it in; anything else nested."""
    while getattr(value, "size", 0) == 1 and hasattr(value, "flat"):
        value = value.flat[0]
        if not hasattr(value, "dtype"):
            return value
        if not value.shape:
            return value.item()
    return value.tolist() if hasattr(value, "tolist") else value


def _limit() -> None:
    for kind, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, CPU_S),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        _, highest = resource.getrlimit(kind)
        if highest != resource.RLIM_INFINITY:
            most = min(most, highest)
        resource.setrlimit(kind, (most, highest))


def _die_with_parent(parent: int) -> None:
    """Ask Linux to end this process with its parent; it may be gone already."""
    from finer1.lifetime import dying_with_parent

    dying_with_parent()()
    if os.getppid() != parent:
        os._exit(1)


if __name__ == "__main__":
    main()
