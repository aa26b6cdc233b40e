"""The hashes of a model folder's files, kept in the folder: a flipped bit loads without an error.

`SHA256SUMS` has the form of coreutils: `sha256sum -c SHA256SUMS` checks the folder, too. It is
written last, so that a folder with it was complete once.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from finer1.files import sha256_file, sha256_folder, write_atomic

MANIFEST = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64})  (\S.*)")


def write_manifest(folder: Path) -> None:
    """Write down what the folder holds."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    lines = [f"{sha256_file(path)}  {path.relative_to(folder).as_posix()}\n" for path in files]
    write_atomic(folder / MANIFEST, "".join(lines).encode())


def damages(folder: Path) -> Iterator[tuple[Path, str]]:
    """Each file that is not as the folder's manifest says, and what is wrong with it.

    Nothing for a folder without one, which was not made here. Files that it does not name are
    passed over: a card may have been added.
    """
    manifest = folder / MANIFEST
    if not manifest.is_file():
        return
    try:
        listed = _read(manifest)
    except ValueError:
        yield manifest, "is damaged"
        return
    for name, sha256 in listed.items():
        path = folder / name
        if not path.is_file():
            yield path, "is missing"
        elif sha256_file(path) != sha256:
            yield path, "is damaged"


def check_folder(folder: Path) -> None:
    """Raise ValueError, naming each file, when a model folder is not as its manifest says."""
    wrong = [f"{path} {what}" for path, what in damages(folder)]
    if wrong:
        raise ValueError(
            f"{', '.join(wrong)}, by {folder / MANIFEST}; `finer1 verify` says how it comes back"
        )


def model_identity(folder: Path) -> str:
    """Hex SHA-256 of a model's content, by which all that is made with it is known.

    The manifest does not enter: it only repeats the rest. Raises ValueError as check_folder and
    sha256_folder.
    """
    check_folder(folder)
    return sha256_folder(folder, leave_out=(MANIFEST,))


def _read(manifest: Path) -> dict[str, str]:
    found = {}
    for line in manifest.read_bytes().decode("utf-8").splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError
        found[match[2]] = match[1]
    if not found:
        raise ValueError
    return found
