"""The published datasets in their official layout, from their own sites or from archives at hand.

    <raw>/.archives/<dataset>/<file>        what was downloaded
    <raw>/<dataset>/...                     the layout that the readers know
    <raw>/<dataset>/.complete.json          the hashes of the files it was made of

The folder of a dataset is made beside its place and renamed, so that it is whole or absent.
"""

import hashlib
import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from finer1.downloads.extraction import extract
from finer1.downloads.fetching import (
    Patience,
    RemoteFile,
    difference,
    fetch_file,
    sole_writer,
)
from finer1.downloads.sources import SOURCES, Source
from finer1.files import publish_folder, sha256_file, write_json

MARKER = ".complete.json"
_ARCHIVES = ".archives"
_CHUNK = 2**20
_ENDINGS = (".tar", ".tar.gz", ".tgz", ".zip")


@dataclass(frozen=True)
class _Order:
    """A dataset that is to be made, and from what."""

    dataset: str
    source: Source
    raw: Path
    given: Path | None
    allow_unlisted: bool


def obtain(
    dataset: str,
    raw: Path,
    given: Path | None = None,
    patience: Patience | None = None,
    allow_unlisted: bool = False,
    sources: Mapping[str, Source] = SOURCES,
) -> Path:
    """The folder `raw`/<dataset> in the official layout; made unless it is there already.

    given: a folder with the official archives, or one archive with the others beside it; without,
    they are downloaded, and a broken download goes on where it stopped. allow_unlisted: take given
    files with other hashes than listed; `notes` tells of them. The terms are printed once.
    Raises ValueError, with a line per file, for what is missing or not as listed, when the folder
    is there and was made of other files than those given, and with what to do where the source is
    gone; OSError when the network or the disk fails.
    """
    if dataset not in sources:
        raise ValueError(f"{dataset} is none of the published datasets: {', '.join(sources)}")
    order = _Order(dataset, sources[dataset], raw, given, allow_unlisted)
    folder = raw / dataset
    raw.mkdir(parents=True, exist_ok=True)
    building = raw / f".{dataset}.part"
    with sole_writer(raw / f".{dataset}.lock"):
        shutil.rmtree(building, ignore_errors=True)  # of a process that was killed
        if _is_complete(order, folder):
            if given is not None:
                _refuse_others(order, given, folder)
            return folder
        if given is None and order.source.gone is not None:
            names = ", ".join(file.name for file in order.source.files)
            raise ValueError(f"dataset {dataset}: {order.source.gone.format(names=names)}")
        print(f"Terms of {order.source.terms}.", file=sys.stderr, flush=True)
        paths = _downloaded(order, patience) if given is None else _checked(order, given)
        try:
            publish_folder(_assemble(order, paths, building), folder)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    return folder


def notes(folder: Path) -> tuple[str, ...]:
    """A sentence per file of a dataset's folder whose hash is not the listed one."""
    return tuple(json.loads((folder / MARKER).read_text(encoding="utf-8"))["notes"])


def unlisted_content(folder: Path) -> str | None:
    """SHA-256 over what a dataset's folder was made of; None for the listed files or no folder."""
    if not (folder / MARKER).is_file():
        return None
    made = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    if not made["notes"]:
        return None
    hashes = [f"{name} {found['sha256']}\n" for name, found in sorted(made["files"].items())]
    return hashlib.sha256("".join(hashes).encode()).hexdigest()


def _is_complete(order: _Order, folder: Path) -> bool:
    """True when the folder was made of the listed files; False when there is none.

    Raises ValueError for a folder that was made otherwise.
    """
    if not folder.exists():
        return False
    marker = folder / MARKER
    if not marker.is_file():
        raise ValueError(
            f"{folder} is there, but was not made here: it has no {MARKER}; move it away, or read "
            f"it with download.{order.dataset}.source: folder and --root {folder}"
        )
    made = json.loads(marker.read_text(encoding="utf-8"))
    unlisted = [file.name for file in order.source.files if not _is_made_of(file, made["files"])]
    if unlisted and not order.allow_unlisted:
        raise ValueError(
            f"{folder} was made of other files than the listed {', '.join(unlisted)}; remove the "
            f"folder, or, if they are meant, set download.{order.dataset}.subset to true (for "
            "`finer1 data get`: --unlisted)"
        )
    return True


def _refuse_others(order: _Order, given: Path, folder: Path) -> None:
    """Raise ValueError when the finished folder was made of other files than those given."""
    made = json.loads((folder / MARKER).read_text(encoding="utf-8"))["files"]
    others = [
        str(path)
        for file, path in _checked(order, given).items()
        if sha256_file(path) != made.get(file.name, {}).get("sha256")
    ]
    if others:
        raise ValueError(
            f"{folder} is there, made of other files than {', '.join(others)}; to make it of "
            "these, remove the folder first"
        )


def _is_made_of(file: RemoteFile, made: Mapping[str, Mapping[str, str]]) -> bool:
    found = made.get(file.name, {})
    listed = {"sha256": file.sha256, "md5": file.md5}
    return bool(found) and all(
        digest in (None, found[algorithm]) for algorithm, digest in listed.items()
    )


def _downloaded(order: _Order, patience: Patience | None) -> dict[RemoteFile, Path]:
    folder = order.raw / _ARCHIVES / order.dataset
    return {file: fetch_file(file, folder, patience) for file in order.source.files}


def _checked(order: _Order, given: Path) -> dict[RemoteFile, Path]:
    """The given files; raises ValueError with a line per file that is missing or another one."""
    if not given.exists():
        raise ValueError(
            f"{given} is not there; name the folder of the archives of {order.dataset}"
        )
    paths = {file: _place(order, given, file) for file in order.source.files}
    wrong = []
    for file, path in paths.items():
        if not path.is_file():
            size = "" if file.size is None else f" ({file.size} bytes)"
            wrong.append(f"{path} is missing{size}; it was published at {file.urls[0]}")
        elif not order.allow_unlisted and (found := difference(path, file)):
            wrong.append(
                f"{path} {found}, which is listed; get the official file, or, if this one is "
                f"meant, add --unlisted to `finer1 data get` and set "
                f"download.{order.dataset}.subset to true"
            )
    if wrong:
        raise ValueError("\n".join(wrong))
    return paths


def _place(order: _Order, given: Path, file: RemoteFile) -> Path:
    """Where a file is given; an archive that is the only one may have another name."""
    if given.is_dir():
        return given / file.name
    archives = [other for other in order.source.files if _is_packed(other)]
    return given if archives == [file] else given.parent / file.name


def _assemble(order: _Order, paths: Mapping[RemoteFile, Path], building: Path) -> Path:
    """A new folder below `building` with all files unpacked or copied, and the marker."""
    whole = building / "whole"
    whole.mkdir(parents=True)
    made, found = {}, []
    for number, (file, path) in enumerate(paths.items()):
        if _is_packed(file):
            print(f"{path}: unpacking", file=sys.stderr, flush=True)
            unpacked = building / str(number)
            extract(path, unpacked)
            _move_entries(unpacked, whole, path)
        else:
            shutil.copyfile(path, whole / file.name)
        made[file.name] = _hashes(path)
        if not _is_made_of(file, made):
            sha256 = made[file.name]["sha256"]
            found.append(f"{order.dataset}: {path.name} has sha256 {sha256}, which is not listed")
    absent = [name for name in order.source.holds if not (whole / name).exists()]
    if absent:
        raise ValueError(f"dataset {order.dataset}: its files hold no {', no '.join(absent)}")
    write_json(whole / MARKER, {"files": made, "notes": found})
    return whole


def _move_entries(unpacked: Path, whole: Path, archive: Path) -> None:
    for entry in sorted(unpacked.iterdir()):
        if (whole / entry.name).exists():
            raise ValueError(f"{archive} holds {entry.name}, which another archive holds too")
        entry.replace(whole / entry.name)


def _is_packed(file: RemoteFile) -> bool:
    return file.name.endswith(_ENDINGS)


def _hashes(path: Path) -> dict[str, str]:
    """SHA-256 and MD5 of a file, which may have gigabytes, in one reading."""
    hashes = {name: hashlib.new(name) for name in ("sha256", "md5")}
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            for digest in hashes.values():
                digest.update(chunk)
    return {name: digest.hexdigest() for name, digest in hashes.items()}
