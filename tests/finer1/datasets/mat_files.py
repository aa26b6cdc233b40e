"""Makes `.mat` files: small ones of the official layouts, and damaged ones."""

import random
import struct
from pathlib import Path

import numpy as np


def save_struct(path: Path, names: list, labels: list) -> None:
    """A struct array `annotations` with the fields of Stanford Cars that are read."""
    from scipy.io import savemat

    rows = np.empty((1, len(names)), dtype=[("class", "O"), ("fname", "O")])
    for place, row in enumerate(zip(labels, names, strict=True)):
        rows[0, place] = row
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"annotations": rows})


def save_lists(path: Path, **columns: list) -> None:
    """Cell arrays of text and vectors of numbers, a column each."""
    from scipy.io import savemat

    variables = {}
    for name, values in columns.items():
        if any(isinstance(value, str) for value in values):
            cells = np.empty((len(values), 1), dtype=object)
            cells[:, 0] = values
            variables[name] = cells
        else:
            variables[name] = np.array(values).reshape(1, -1)
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, variables)


def mutate(content: bytes, generator: random.Random) -> bytes:
    """A copy with a few bits or bytes changed, a four-byte word replaced, or the end cut off."""
    damaged = bytearray(content)
    kind = generator.randrange(4)
    if kind == 0:
        del damaged[generator.randrange(len(damaged)) :]
    elif kind == 1:
        # Lengths and types are aligned words behind the header of 128 bytes.
        place = generator.randrange(128, len(damaged) // 4 * 4, 4)
        damaged[place : place + 4] = generator.randbytes(4)
    else:
        for _ in range(generator.randint(1, 4)):
            place = generator.randrange(len(damaged))
            bit = 1 << generator.randrange(8)
            damaged[place] = damaged[place] ^ bit if kind == 2 else generator.randrange(256)
    return bytes(damaged)


def nested_cells(depth: int) -> bytes:
    """A well-formed file whose variable `a` is a cell in a cell, `depth` times.

    The parser calls itself for each; at 50,000 its stack is at an end, and the process with it.
    """
    matrix, flags = 14, struct.pack("<IIII", 6, 8, 1, 0) + struct.pack("<IIii", 5, 8, 1, 1)
    parts, size = [struct.pack("<II", matrix, 0)], 8
    for level in range(depth):
        name = b"a" if level == depth - 1 else b""
        head = flags + struct.pack("<II", 1, len(name)) + name.ljust(len(name) * 8, b"\0")
        parts += [head, struct.pack("<II", matrix, size + len(head))]
        size += len(head) + 8
    header = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<HH", 0x0100, 0x4D49)
    return header + b"".join(reversed(parts))
