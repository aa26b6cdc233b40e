"""Corrected images into a dataset of one's own, as training images of their sub-category.

What the dataset holds of them follows the file of corrections: a new one is added, one that was
picked anew gets the other sub-category, one that was taken back goes. A second call finds nothing
to do. A kill leaves the index as it was or as it is to be; files that no row names yet are written
again, or removed, by the next call.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from finer1.datasets.interface import ListedImage
from finer1.files import sha256_file, write_atomic
from finer1.inspection.findings import shown
from finer1.inspection.inspecting import Inspected, inspect_images
from finer1.inspection.near_pairs import NEAR_DISTANCE
from finer1.own.corrected_shots import CORRECTED
from finer1.own.corrections import Correction, Corrections
from finer1.own.dataset import OwnImage, image_file, index_rows, read, write_index
from finer1.records import ImageRecord


@dataclass(frozen=True)
class Refused:
    """A correction that does not become a training image."""

    correction: Correction
    reason: str
    """Why, and what to do."""


@dataclass(frozen=True)
class Improvement:
    """What becomes of the corrections of one dataset."""

    added: tuple[Correction, ...]
    moved: tuple[Correction, ...]
    """In the dataset, and picked anew since."""
    there: tuple[Correction, ...]
    """In the dataset as they are."""
    removed: tuple[OwnImage, ...]
    """In the dataset, and taken back since."""
    refused: tuple[Refused, ...]
    rows: tuple[OwnImage, ...]
    """Of the index as it is to be."""

    @property
    def is_change(self) -> bool:
        """Whether the index is to become another."""
        return bool(self.added or self.moved or self.removed)


@dataclass(frozen=True)
class _Known:
    """An image that a correction must not be."""

    name: str
    label: str
    is_held_out: bool
    sha256: str
    phash: str


def plan_improvement(
    folder: Path,
    corrections: Corrections,
    others: Sequence[ImageRecord],
    cache: Path,
    workers: int,
) -> Improvement:
    """What is to change in the dataset in `folder`; changes nothing.

    others: images of the run's other datasets. cache, workers: as of inspect_images. Raises
    ValueError when the dataset is broken.
    """
    listed = read(folder).images
    own, given = _parted(index_rows(folder))
    category = listed[0].category
    groups = {image.label: image.group for image in listed}
    sources = [image for image in listed if image.path in {row.path for row in given}]
    known = [
        *_known_own(sources, list(inspect_images(sources, cache, workers, None))),
        *_known_others(others),
    ]
    wanted = [item for item in corrections.standing().values() if item.dataset == folder.name]
    looked = _look(wanted, folder, corrections, category, cache, workers)
    there = {row.sha256: row for row in own}
    made: dict[str, OwnImage] = {}
    sorts: dict[str, list[Correction]] = {"added": [], "moved": [], "there": []}
    refused = []
    for item in wanted:
        if reason := _reason(item, looked, category, groups, known):
            refused.append(Refused(item, reason))
            continue
        assert item.label is not None
        path = f"{CORRECTED}/{item.file}"
        made[item.sha256] = OwnImage(path, item.label, groups[item.label], "train", item.sha256)
        row = there.get(item.sha256)
        kind = "added" if row is None else "there" if row.label == item.label else "moved"
        sorts[kind].append(item)
    kept, removed = _kept(own, made, corrections)
    return Improvement(
        **{kind: tuple(items) for kind, items in sorts.items()},
        removed=tuple(removed),
        refused=tuple(refused),
        rows=(*given, *kept, *made.values()),
    )


def improve(folder: Path, corrections: Corrections, plan: Improvement) -> None:
    """Carry out a plan. Raises OSError when the disk is full; the next call then goes on."""
    for item in (*plan.added, *plan.moved):
        target = image_file(folder, f"{CORRECTED}/{item.file}")
        if not target.is_file() or sha256_file(target) != item.sha256:
            write_atomic(target, corrections.path(item).read_bytes())
    if plan.is_change:
        write_index(folder, plan.rows)
    # Of images that were taken back, and of calls that were killed.
    names = {Path(row.path).name for row in plan.rows if row.path.startswith(f"{CORRECTED}/")}
    there = image_file(folder, CORRECTED)
    for path in there.iterdir() if there.is_dir() else ():
        if path.name not in names:
            path.unlink()


def _parted(rows: Sequence[OwnImage]) -> tuple[list[OwnImage], list[OwnImage]]:
    """Rows of corrected images, and those of the images that `finer1 data add` took."""
    own = [row for row in rows if row.path.startswith(f"{CORRECTED}/")]
    return own, [row for row in rows if row not in own]


def _kept(
    own: Sequence[OwnImage], made: Mapping[str, OwnImage], corrections: Corrections
) -> tuple[list[OwnImage], list[OwnImage]]:
    """Rows of earlier corrections that stay, since nothing new is said of them, and those that go.

    Nothing goes because the file of corrections is not there.
    """
    said = corrections.said()
    rest = [row for row in own if row.sha256 not in made]
    return [row for row in rest if row.sha256 not in said], [r for r in rest if r.sha256 in said]


def _known_own(images: Sequence[ListedImage], inspected: Sequence[Inspected]) -> Iterator[_Known]:
    for image, seen in zip(images, inspected, strict=True):
        yield _Known(image.path, image.label, image.official != "train", seen.sha256, seen.phash)


def _known_others(images: Sequence[ImageRecord]) -> Iterator[_Known]:
    for image in images:
        yield _Known(image.id, image.label, image.official != "train", image.sha256, image.phash)


def _look(
    wanted: Sequence[Correction],
    folder: Path,
    corrections: Corrections,
    category: str,
    cache: Path,
    workers: int,
) -> dict[str, Inspected]:
    """SHA-256 in the correction -> what is seen in its file, or in the dataset's copy of it."""
    images = []
    for item in wanted:
        source, copy = corrections.path(item), image_file(folder, f"{CORRECTED}/{item.file}")
        source = copy if copy.is_file() and not source.is_file() else source
        images.append(
            ListedImage(
                path=item.file,
                category=category,
                label=item.label or "",
                group=None,
                official="train",
                source=source,
                where=str(source),
            )
        )
    found = inspect_images(images, cache, workers, None)
    return {item.sha256: seen for item, seen in zip(wanted, found, strict=True)}


def _reason(
    item: Correction,
    looked: Mapping[str, Inspected],
    category: str,
    labels: Collection[str],
    known: Sequence[_Known],
) -> str | None:
    """Why a correction is refused; None when it is not."""
    seen = looked[item.sha256]
    if item.label not in labels or item.category != category:
        return (
            f"the dataset has no class {shown(item.label)!r} of {shown(item.category)} any more; "
            "pick another on the page"
        )
    if seen.error is not None:
        return f"{seen.error}; put the file back, or take the image back on the page"
    if seen.sha256 != item.sha256:
        return "its file is not the one that was corrected; put that back, or pick again"
    for other in known:
        name = shown(other.name)
        if other.sha256 == seen.sha256 and other.is_held_out:
            return (
                f"it is the same file as {name}, on which models are tested; "
                "none may be trained on it"
            )
        if other.sha256 == seen.sha256:
            return f"it is the same file as {name}, a training image of {shown(other.label)!r}"
    for other in known:
        distance = (int(other.phash or "0", 16) ^ int(seen.phash, 16)).bit_count()
        if other.is_held_out and other.phash and distance <= NEAR_DISTANCE:
            return (
                f"it shows nearly the same as {shown(other.name)} ({distance} differing bits), on "
                "which models are tested; none may be trained on it"
            )
    return None
