"""Stage `download`: the images of all datasets of the run, an archive each, with one index.

    python -m tasks.download

Reads the datasets from their folders (`finer1 run --root DIR` or FINER1_DATA_ROOT, paths.own) or
fetches them to paths.raw; writes paths.images, paths.index and paths.audit.
"""

import hashlib
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial, reduce
from pathlib import Path
from typing import get_args

from PIL import Image

from finer1.data_params import DownloadParams
from finer1.datasets.catalogue import Places, content_hash, list_dataset, places
from finer1.datasets.interface import ListedImage, Listing, Side
from finer1.files import write_json
from finer1.images import ImageArchive, write_archive
from finer1.inspection.audit import audit, near_duplicate_sheet
from finer1.inspection.findings import Finding, describe, judged
from finer1.inspection.inspecting import Inspected, inspect_images, stored_bytes
from finer1.inspection.near_duplicates import NearPairs, near_duplicates
from finer1.inspection.sheets import contact_sheet
from finer1.progress import Progress
from finer1.records import ImageRecord, write_jsonl
from tasks.stage import Context, main


@dataclass(frozen=True)
class _Looked:
    """One dataset after every image was opened."""

    listing: Listing
    inspected: tuple[Inspected, ...]
    near: NearPairs
    findings: tuple[Finding, ...]
    """Errors are what the settings refuse."""

    @property
    def good(self) -> Iterator[tuple[ListedImage, Inspected]]:
        """Images that can be read."""
        pairs = zip(self.listing.images, self.inspected, strict=True)
        return (pair for pair in pairs if pair[1].error is None)


def download(context: Context) -> dict[str, float]:
    """Write archives, index and audit; the metrics count images, classes, sides and findings."""
    paths, settings = context.params.paths, context.params.download
    where = places(context.data_root, context.params.paths, context.home)
    _check_content(settings, where, context.store / "inspections")
    looked = {name: _look(name, context, where) for name in settings.datasets}
    _refuse(looked)
    records: list[ImageRecord] = []
    for old in set(paths.images.glob("*.zip")) - {paths.images / f"{name}.zip" for name in looked}:
        old.unlink()
    for name, item in looked.items():
        members = ((image.path, _stored(image, found)) for image, found in item.good)
        write_archive(paths.images / f"{name}.zip", members)
        records += [_record(name, image, found) for image, found in item.good]
    write_jsonl(paths.index, records)
    roots = [f"{path}/" for path in (where.root, where.raw, where.own) if path]
    write_json(paths.audit, {name: _audit(item, roots) for name, item in looked.items()})
    archive = ImageArchive(paths.images)
    _show(context, looked, records, archive)
    return _metrics(looked, records)


def _look(dataset: str, context: Context, where: Places) -> _Looked:
    """List the dataset and open every image of it."""
    listing = list_dataset(dataset, context.params.download, where)
    cache = context.store / "inspections"
    workers = context.params.runtime.threads
    progress = Progress(
        f"download {dataset}", len(listing.images), "images", is_live=context.is_live
    )
    inspected = tuple(inspect_images(listing.images, cache, workers, progress))
    near = near_duplicates(listing.images, inspected)
    findings = audit(dataset, listing.images, inspected, near)
    return _Looked(listing, inspected, near, judged(findings, context.params.download))


def _check_content(settings: DownloadParams, where: Places, cache: Path) -> None:
    """Raise ValueError when the folders are not those whose hash the settings hold."""
    content = content_hash(settings, where, cache)
    if content == settings.content or content is None:
        return
    why = "is not set" if settings.content is None else "is that of other content"
    root = f" --root {where.root}" if where.root else ""
    raise ValueError(
        f"download.content: the hash of the folders {why}; run `finer1 run{root}`, which sets it, "
        "so that changed folders are read anew"
    )


def _refuse(looked: Mapping[str, _Looked]) -> None:
    """Raise ValueError with every error, and with what is wrong with each image of a dataset that
    holds none that can be read."""
    wrong: list[Finding] = []
    empty = []
    for name, item in looked.items():
        if not any(True for _ in item.good):
            empty.append(f"download.datasets: {name} holds no image that can be read")
            wrong += [found for found in item.findings if found.kind == "unreadable"]
        else:
            wrong += [found for found in item.findings if found.level == "error"]
    if wrong or empty:
        raise ValueError("\n".join([describe(wrong), *empty]).strip())


def _stored(image: ListedImage, found: Inspected) -> bytes:
    """What goes into the archive. Raises ValueError when it is not what was looked at."""
    content = stored_bytes(image)
    if hashlib.sha256(content).hexdigest() != found.sha256:
        raise ValueError(f"{image.where}: {image.path} changed while it was read; run again")
    return content


def _record(dataset: str, image: ListedImage, found: Inspected) -> ImageRecord:
    return ImageRecord(
        id=f"{dataset}/{image.path}",
        dataset=dataset,
        category=image.category,
        label=image.label,
        group=image.group,
        sha256=found.sha256,
        phash=found.phash,
        official=image.official,
    )


def _audit(item: _Looked, roots: Sequence[str]) -> dict[str, object]:
    """One dataset's part of paths.audit; places are told below `roots`, which differ by machine."""
    images = item.listing.images
    return {
        "images": len(images),
        "classes": len({(image.category, image.label) for image in images}),
        "sides": dict(Counter(image.official for image in images)),
        "unreadable": sum(found.error is not None for found in item.inspected),
        "notes": [_without(note, roots) for note in item.listing.notes],
        "findings": [
            {key: _without(value, roots) for key, value in asdict(found).items()}
            for found in item.findings
        ],
    }


def _without(text: str, roots: Sequence[str]) -> str:
    return reduce(lambda rest, root: rest.replace(root, ""), roots, text)


def _show(
    context: Context,
    looked: Mapping[str, _Looked],
    records: Sequence[ImageRecord],
    archive: ImageArchive,
) -> None:
    """Log a picture of every class, and what was found."""
    examples: dict[tuple[str, str, str], str] = {}
    for record in records:
        examples.setdefault((record.dataset, record.category, record.label), record.id)
    tiles = [(label, archive.read(examples[d, c, label])) for d, c, label in sorted(examples)]
    context.log_image("data/classes", contact_sheet(tiles), 0)
    for name, item in looked.items():
        if item.near.pairs:
            sheet = near_duplicate_sheet(item.near.pairs, partial(_read, archive, name))
            context.log_image(f"data/near_duplicates/{name}", sheet, 0)
    rows = [
        {"dataset": name, **asdict(found)}
        for name, item in looked.items()
        for found in item.findings
    ]
    logger = logging.getLogger(__name__)
    for item in looked.values():
        for sentence in (*item.listing.notes, *describe(item.findings).splitlines()):
            logger.warning("%s", sentence)
    if rows:
        context.log_table("data/findings", rows)


def _read(archive: ImageArchive, dataset: str, image: ListedImage) -> Image.Image:
    return archive.read(f"{dataset}/{image.path}")


def _metrics(looked: Mapping[str, _Looked], records: Sequence[ImageRecord]) -> dict[str, float]:
    sides = Counter(record.official for record in records)
    found = Counter(found.kind for item in looked.values() for found in item.findings)
    classes = {(record.dataset, record.category, record.label) for record in records}
    return {
        "data/datasets": len(looked),
        "data/images": len(records),
        "data/classes": len(classes),
        "data/categories": len({(dataset, category) for dataset, category, _ in classes}),
        **{f"data/official_{side}": sides[side] for side in get_args(Side)},
        "data/skipped": sum(
            i.error is not None for item in looked.values() for i in item.inspected
        ),
        "data/differences": sum(len(item.listing.notes) for item in looked.values()),
        **{f"data/found_{kind.replace(' ', '_')}": count for kind, count in sorted(found.items())},
    }


if __name__ == "__main__":
    main("download", download)
