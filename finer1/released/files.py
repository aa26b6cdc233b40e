"""The released files into a folder: downloaded, or copied from where the user has them."""

import os
from collections.abc import Sequence
from pathlib import Path

from finer1.files import sha256_file, write_atomic
from finer1.reference.release import COMMIT, ReleasedFile, released_files


def obtain_released(
    target: Path, given: Path | None, files: Sequence[ReleasedFile] | None = None
) -> tuple[Path, ...]:
    """Put the released files into `target`, each under its own name; the paths of those obtained.

    From the folder `given`, wherever in it they lie: a part of them is enough, and absent_files
    names the rest. Without it all are downloaded at the pinned commit. files: what was released,
    the list of finer1/reference unless given. Raises ValueError, and copies nothing, when `given`
    holds none, or one of these names with another content.
    """
    expected = released_files() if files is None else files
    if given is None:
        return tuple(_download(file, target) for file in expected)
    copies = _matching(given, expected)
    for file, source in copies:
        write_atomic(target / file.name, source.read_bytes())
    return tuple(target / file.name for file, _ in copies)


def absent_files(folder: Path, files: Sequence[ReleasedFile] | None = None) -> tuple[str, ...]:
    """Names of the released files that are not in `folder`."""
    expected = released_files() if files is None else files
    return tuple(file.name for file in expected if not (folder / file.name).is_file())


def check_released(folder: Path, names: Sequence[str]) -> None:
    """Raise ValueError unless `folder` holds these released files as they were released.

    DVC does not follow them: their content is that of the list of finer1/reference, or none.
    """
    wrong = []
    for file in released_files():
        path = folder / file.name
        if file.name not in names:
            continue
        if not path.is_file():
            wrong.append(f"{path} is missing; `finer1 data released` brings it")
        elif not _is_same(path, file):
            wrong.append(_difference(path, file))
    if wrong:
        raise ValueError("\n".join(wrong))


def _download(file: ReleasedFile, target: Path) -> Path:
    # Brings an HTTP client, which a copy does not need.
    from finer1.downloads.fetching import RemoteFile, fetch_file

    remote = RemoteFile(file.name, (file.url,), file.size, file.sha256, md5=None)
    return fetch_file(remote, target)


def _matching(given: Path, expected: Sequence[ReleasedFile]) -> list[tuple[ReleasedFile, Path]]:
    """Each released file that `given` holds, with a path of the right content."""
    if not given.is_dir():
        raise ValueError(f"{given} is no folder; name the one with the released files")
    places: dict[str, list[Path]] = {file.name: [] for file in expected}
    for folder, folders, names in os.walk(given):
        folders.sort()
        for name in names:
            if name in places:
                places[name].append(Path(folder, name))
    copies, wrong = [], []
    for file in expected:
        right = next((path for path in places[file.name] if _is_same(path, file)), None)
        if right is not None:
            copies.append((file, right))
        else:
            wrong += [_difference(path, file) for path in places[file.name]]
    if wrong:
        raise ValueError("\n".join(wrong))
    if not copies:
        raise ValueError(
            f"{given} holds none of the released files ({', '.join(places)}); name the folder "
            "that does, or let them be downloaded"
        )
    return copies


def _is_same(path: Path, file: ReleasedFile) -> bool:
    return path.stat().st_size == file.size and sha256_file(path) == file.sha256


def _difference(path: Path, file: ReleasedFile) -> str:
    size = path.stat().st_size
    found = f"{size} bytes" if size != file.size else f"SHA-256 {sha256_file(path)}"
    return (
        f"{path}: {found}, but the released file has {file.size} bytes and SHA-256 {file.sha256}; "
        f"take it from commit {COMMIT[:12]}, or let it be downloaded"
    )
