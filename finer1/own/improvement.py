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
from finer1.own.corrected_shots import CORRECTED, is_corrected
from finer1.own.corrections import MOVE, Correction, Corrections
from finer1.own.dataset import OwnImage, image_file, index_rows, read, write_index
from finer1.records import ImageRecord


@dataclass(frozen=True)
class Refused:
    """A correction that does not become a training image."""

    correction: Correction
    reason: str
    """Why, and what to do."""
    is_leak: bool = False
    """Models are validated or tested on it: the dataset must not keep it either."""


@dataclass(frozen=True)
class Surroundings:
    """What else the run reads, which a correction must not be a copy of."""

    images: Sequence[ImageRecord] = ()
    """Of its other datasets, those in `folders` aside."""
    folders: Sequence[Path] = ()
    """Its other datasets of one's own."""
    evaluated: Collection[str] = ()
    """Ids of all images that its last split validates or tests on."""


@dataclass(frozen=True)
class Improvement:
    """What becomes of the corrections of one dataset."""

    added: tuple[Correction, ...]
    moved: tuple[Correction, ...]
    """In the dataset, and picked anew since."""
    there: tuple[Correction, ...]
    """In the dataset as they are."""
    removed: tuple[OwnImage, ...]
    """In the dataset, and since taken back or given to another dataset."""
    leaking: tuple[OwnImage, ...]
    """In the dataset, and copies of what models are validated or tested on; they go, too."""
    refused: tuple[Refused, ...]
    rows: tuple[OwnImage, ...]
    """Of the index as it is to be."""

    @property
    def is_change(self) -> bool:
        """Whether the index is to become another."""
        return bool(self.added or self.moved or self.removed or self.leaking)


@dataclass(frozen=True)
class _Known:
    """An image that a correction must not be."""

    name: str
    label: str
    is_training: bool
    """Official side."""
    is_evaluated: bool
    sha256: str
    phash: str


def plan_improvement(
    folder: Path,
    corrections: Corrections,
    around: Surroundings,
    cache: Path,
    workers: int,
) -> Improvement:
    """What is to change in the dataset in `folder`; changes nothing.

    cache, workers: as of inspect_images. Raises ValueError when a dataset is broken.
    """
    listed = read(folder).images
    own, given = _parted(index_rows(folder))
    category = listed[0].category
    groups = {image.label: image.group for image in listed}
    known = list(_known(folder, around, cache, workers))
    wanted = [item for item in corrections.standing().values() if item.dataset == folder.name]
    looked = _look(wanted, folder, corrections, category, cache, workers)
    there = {row.sha256: row for row in own}
    made: dict[str, OwnImage] = {}
    sorts: dict[str, list[Correction]] = {"added": [], "moved": [], "there": []}
    refused = []
    for item in wanted:
        if refusal := _refusal(item, looked, category, groups, known):
            refused.append(refusal)
            continue
        assert item.label is not None
        path = f"{CORRECTED}/{item.file}"
        made[item.sha256] = OwnImage(path, item.label, groups[item.label], "train", item.sha256)
        row = there.get(item.sha256)
        kind = "added" if row is None else "there" if row.label == item.label else "moved"
        sorts[kind].append(item)
    leaks = {refusal.correction.sha256 for refusal in refused if refusal.is_leak}
    rest = [row for row in own if row.sha256 not in made]
    leaking = [row for row in rest if row.sha256 in leaks]
    removed = [row for row in rest if _is_gone(row, folder.name, corrections.said())]
    return Improvement(
        **{kind: tuple(items) for kind, items in sorts.items()},
        removed=tuple(removed),
        leaking=tuple(leaking),
        refused=tuple(refused),
        rows=(*given, *(r for r in rest if r not in removed + leaking), *made.values()),
    )


def improve(folder: Path, corrections: Corrections, plan: Improvement) -> None:
    """Carry out a plan. Raises OSError when the disk is full; the next call then goes on."""
    for item in (*plan.added, *plan.moved, *plan.there):
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


def _is_gone(row: OwnImage, dataset: str, said: Mapping[str, Correction]) -> bool:
    """Whether an image was taken back, or given to another dataset.

    Nothing goes because it is refused, or because the file of corrections is not there.
    """
    item = said.get(row.sha256)
    return item is not None and (item.label is None or item.dataset != dataset)


def _known(folder: Path, around: Surroundings, cache: Path, workers: int) -> Iterator[_Known]:
    """All images but corrected ones, which follow the file of corrections."""
    for own in (folder, *around.folders):
        listed = [i for i in read(own).images if not i.path.startswith(f"{CORRECTED}/")]
        inspected = inspect_images(listed, cache, workers, None)
        for image, seen in zip(listed, inspected, strict=True):
            is_training, name = image.official == "train", f"{own.name}/{image.path}"
            is_evaluated = not is_training or name in around.evaluated
            yield _Known(name, image.label, is_training, is_evaluated, seen.sha256, seen.phash)
    for record in around.images:
        if not is_corrected(record):
            yield _Known(
                name=record.id,
                label=record.label,
                is_training=record.official == "train",
                is_evaluated=record.official != "train" or record.id in around.evaluated,
                sha256=record.sha256,
                phash=record.phash,
            )


def _look(
    wanted: Sequence[Correction],
    folder: Path,
    corrections: Corrections,
    category: str,
    cache: Path,
    workers: int,
) -> dict[str, Inspected]:
    """SHA-256 in the correction -> what is seen in its file, or in a right copy of the dataset."""
    images = []
    for item in wanted:
        source, copy = corrections.path(item), image_file(folder, f"{CORRECTED}/{item.file}")
        if copy.is_file() and sha256_file(copy) == item.sha256:
            source = copy
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


def _refusal(
    item: Correction,
    looked: Mapping[str, Inspected],
    category: str,
    labels: Collection[str],
    known: Sequence[_Known],
) -> Refused | None:
    """Why a correction is refused; None when it is not."""
    seen = looked[item.sha256]
    if item.label not in labels or item.category != category:
        return Refused(
            item,
            f"the dataset has no class {shown(item.label)!r} of {shown(item.category)} any more; "
            "pick another on the page",
        )
    if seen.error is not None:
        return Refused(item, f"{seen.error}; put the file back, or pick again on the page")
    if seen.sha256 != item.sha256:
        return Refused(
            item, "its file is not the one that was corrected; put that back, or pick again"
        )
    same = [other for other in known if other.sha256 == seen.sha256]
    if not same:
        return _near(item, seen, known)
    other = min(same, key=lambda other: other.is_training)  # one that tests first
    text = f"it is the same file as {shown(other.name)}, "
    if other.is_training:
        text += f"a training image of {shown(other.label)!r}; to change that, {MOVE}"
    else:
        text += "on which models are tested; none may be trained on it"
    return Refused(item, text, is_leak=other.is_evaluated)


def _near(item: Correction, seen: Inspected, known: Sequence[_Known]) -> Refused | None:
    """Refused for showing what models are validated or tested on; None when it does not."""
    for other in known:
        distance = (int(other.phash or "0", 16) ^ int(seen.phash, 16)).bit_count()
        if other.is_evaluated and other.phash and distance <= NEAR_DISTANCE:
            return Refused(
                item,
                f"it shows nearly the same as {shown(other.name)} ({distance} differing bits), on "
                "which models are validated or tested; none may be trained on it",
                is_leak=True,
            )
    return None
