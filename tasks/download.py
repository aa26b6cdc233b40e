"""Stage `download`: the images of all datasets of the run, an archive each, with one index.

    python -m tasks.download

Reads the datasets from their folders (`finer1 run --root DIR` or FINER1_DATA_ROOT, paths.own) or
fetches them to paths.raw; writes paths.images, paths.index and paths.audit.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial, reduce
from typing import get_args

from PIL import Image

from finer1.data_params import DownloadParams
from finer1.datasets.catalogue import Places, content_hash, list_dataset, places
from finer1.datasets.interface import ListedImage, Listing, Side
from finer1.files import write_json
from finer1.images import ImageArchive, write_archive
from finer1.inspection.audit import Finding, audit, describe, near_duplicate_sheet
from finer1.inspection.inspecting import Inspected, inspect_images, stored_bytes
from finer1.inspection.near_duplicates import near_duplicates
from finer1.inspection.sheets import contact_sheet
from finer1.progress import Progress
from finer1.records import ImageRecord, write_jsonl
from tasks.stage import Context, main


@dataclass(frozen=True)
class _Looked:
    """One dataset after every image was opened."""

    listing: Listing
    inspected: tuple[Inspected, ...]
    findings: tuple[Finding, ...]

    @property
    def good(self) -> Iterator[tuple[ListedImage, Inspected]]:
        """Images that can be read."""
        pairs = zip(self.listing.images, self.inspected, strict=True)
        return (pair for pair in pairs if pair[1].error is None)


def download(context: Context) -> dict[str, float]:
    """Write archives, index and audit; the metrics count images, classes, sides and findings."""
    paths, settings = context.params.paths, context.params.download
    where = places(context.data_root, context.params.paths, context.home)
    _check_content(settings, where)
    looked = {name: _look(name, context, where) for name in settings.datasets}
    _refuse(looked, settings)
    records: list[ImageRecord] = []
    for old in set(paths.images.glob("*.zip")) - {paths.images / f"{name}.zip" for name in looked}:
        old.unlink()
    for name, item in looked.items():
        members = ((image.path, stored_bytes(image)) for image, _ in item.good)
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
    return _Looked(listing, inspected, tuple(audit(dataset, listing.images, inspected, None)))


def _check_content(settings: DownloadParams, where: Places) -> None:
    """Raise ValueError when the folders are not those whose hash the settings hold."""
    content = content_hash(settings, where)
    if content == settings.content or content is None:
        return
    why = "is not set" if settings.content is None else "is that of other content"
    root = f" --root {where.root}" if where.root else ""
    raise ValueError(
        f"download.content: the hash of the folders {why}; run `finer1 run{root}`, which sets it, "
        "so that changed folders are read anew"
    )


def _refuse(looked: Mapping[str, _Looked], settings: DownloadParams) -> None:
    """Raise ValueError with every error that the settings do not allow."""
    wrong = []
    for name, item in looked.items():
        allowed = set()
        if settings.bad_images == "skip":
            allowed.add("unreadable")
        if settings.is_subset(name):
            allowed.add("duplicate")
        errors = [found for found in item.findings if found.level == "error"]
        wrong += [found for found in errors if found.kind not in allowed]
        if not any(True for _ in item.good):
            raise ValueError(f"download.datasets: {name} holds no image that can be read")
    if wrong:
        raise ValueError(describe(wrong))


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
        "notes": list(item.listing.notes),
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
        if pairs := near_duplicates(item.listing.images, item.inspected):
            sheet = near_duplicate_sheet(pairs, partial(_read, archive, name))
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
