"""The datasets of a run: which reader, which folder, and the hash that stands for the content."""

import hashlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from finer1.data_params import LOCAL, DownloadParams
from finer1.datasets.interface import Listing, find_folder, find_reader, reader_of
from finer1.files import sha256_file, sha256_folder
from finer1.paths import Paths

if TYPE_CHECKING:
    from finer1.inspection.cache import LookCache

WORLD = "world"
_HUB = "hub:"


@dataclass(frozen=True)
class Places:
    """Where datasets may lie."""

    root: Path | None
    """Folder named by the user, for datasets in their official layout."""
    raw: Path
    """Downloads."""
    own: Path
    """Datasets that `finer1 data add` made."""


def places(root: Path | None, paths: Paths, home: Path) -> Places:
    """`root` as the user named it; the other two below the project's folder `home`."""
    return Places(root, home / paths.raw, home / paths.own)


def source_folder(dataset: str, settings: DownloadParams, where: Places) -> Path | None:
    """The folder that a dataset is read from; None for one that is drawn, downloaded or copied.

    Raises ValueError when it is not named, is not there, or holds the dataset twice.
    """
    if dataset == WORLD:
        return None
    official = settings.official(dataset)
    if official is None:
        return _own_folder(dataset, where)
    if official.source != "folder":
        return None
    reader = reader_of(dataset)
    if where.root is None:
        raise ValueError(
            f"download.datasets: {dataset} is read from a folder ({reader.LAYOUT}); name it by "
            "`finer1 run --root DIR` or FINER1_DATA_ROOT=DIR, or set "
            f"download.{dataset}.source to official, which downloads it"
        )
    if not where.root.is_dir():
        raise ValueError(f"{where.root} is not a folder; name the dataset's folder by --root DIR")
    return find_folder(where.root, reader, dataset)


def content_hash(settings: DownloadParams, where: Places, cache: Path | None) -> str | None:
    """SHA-256 over all of the run's data that the settings do not name; None when there is none.

    It is over the folders that datasets are read from, and the archives of a downloaded one that
    are not the listed ones. It stands for their content, never for their place. Without a root it
    is the one that `settings` hold, when a dataset needs the root.
    cache: folder of inspections (finer1/inspection/cache.py), by which files that have not changed
    are not read again. Raises ValueError as `source_folder` does.
    """
    official = (settings.official(name) for name in settings.datasets)
    if where.root is None and any(item and item.source == "folder" for item in official):
        return settings.content
    hashes = {name: _unlisted_archives(name, settings, where) for name in settings.datasets}
    folders = {
        name: source_folder(name, settings, where) or _local_copy(name, settings)
        for name in settings.datasets
    }
    present = {name: folder for name, folder in folders.items() if folder is not None}
    if present:
        hashes |= _folder_hashes(present, cache)
    lines = [f"{name} {found}\n" for name, found in sorted(hashes.items()) if found]
    return hashlib.sha256("".join(lines).encode()).hexdigest() if lines else None


def list_dataset(dataset: str, settings: DownloadParams, where: Places) -> Listing:
    """The images of one dataset, downloaded or copied first where the settings say so.

    Raises ValueError as the readers do.
    """
    folder = source_folder(dataset, settings, where)
    if dataset == WORLD:
        from finer1.datasets.world import draw_world

        return draw_world(settings.world)
    official = settings.official(dataset)
    if official is None:
        from finer1.own.dataset import read

        assert folder is not None
        return read(folder)
    if official.source.startswith(_HUB):
        from finer1.hub.copies import materialise

        copy = official.source.removeprefix(_HUB)
        return materialise(dataset, copy, where.raw, official.subset)
    reader = reader_of(dataset)
    accepted: tuple[str, ...] = ()
    if folder is None:
        from finer1.downloads.official import notes, obtain

        obtained = obtain(dataset, where.raw, allow_unlisted=official.subset)
        accepted = tuple(notes(obtained))
        folder = find_folder(obtained, reader, dataset)
    listing: Listing = reader.read(folder, official)
    return replace(listing, notes=(*accepted, *listing.notes))


def known_datasets(own: Path) -> Sequence[str]:
    """Every name that `download.datasets` may hold here."""
    official = [name for name in DownloadParams.model_fields if find_reader(name) is not None]
    added = sorted(path.name for path in own.iterdir() if path.is_dir()) if own.is_dir() else []
    return [WORLD, *official, *(name for name in added if not name.startswith("."))]


def _folder_hashes(folders: dict[str, Path], cache: Path | None) -> dict[str, str]:
    if cache is None:
        return {name: sha256_folder(folder) for name, folder in folders.items()}
    from finer1.inspection.cache import LookCache

    known = LookCache(cache)
    hashes = {
        name: sha256_folder(folder.absolute(), partial(_file_hash, known))
        for name, folder in folders.items()
    }
    known.save()
    return hashes


def _file_hash(known: "LookCache", path: str) -> str:
    """SHA-256 of the file; it is read unless its stamp is that of an earlier reading."""
    from finer1.inspection.cache import is_settled, stamp_of

    now = time.time_ns()
    stamp = stamp_of(os.stat(path))
    found = known.hash_of(path, stamp)
    if found is None:
        found = sha256_file(Path(path))
        if is_settled(stamp, now):
            known.keep_hash(path, stamp, found)
    return found


def _unlisted_archives(dataset: str, settings: DownloadParams, where: Places) -> str | None:
    """The hash of what a downloaded dataset was made of, where these are not the listed files."""
    official = settings.official(dataset)
    if official is None or official.source != "official":
        return None
    from finer1.downloads.official import unlisted_content

    return unlisted_content(where.raw / dataset)


def _local_copy(dataset: str, settings: DownloadParams) -> Path | None:
    """The folder of a copy in the hub's form that lies on this machine."""
    official = settings.official(dataset)
    source = official.source if official else ""
    copy = source.removeprefix(_HUB)
    is_local = source.startswith(_HUB) and copy.startswith(LOCAL)
    return Path(copy) if is_local and Path(copy).is_dir() else None


def _own_folder(dataset: str, where: Places) -> Path:
    folder = where.own / dataset
    if not folder.is_dir():
        known = ", ".join(known_datasets(where.own))
        raise ValueError(
            f"download.datasets: there is no dataset {dataset}; there are {known}; "
            f"`finer1 data add DIR --category WORD --name {dataset}` makes one of your own images"
        )
    return folder
