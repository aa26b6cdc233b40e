"""Corrected images among the shots of TAPO: what was got wrong once is trained on first.

The split itself is that of the other images, so that corrections change neither what SFT trains on
nor what models are validated on.
"""

from collections import defaultdict
from collections.abc import Sequence

from finer1.records import ClassKey, ImageRecord, Part, SplitRecord

CORRECTED = "@corrected"
"""Folder of corrected images in a dataset of one's own."""


def is_corrected(image: ImageRecord) -> bool:
    """True for an image that `finer1 improve` has added to its dataset."""
    return image.id.startswith(f"{image.dataset}/{CORRECTED}/")


def prefer_corrected(
    images: Sequence[ImageRecord], rows: Sequence[SplitRecord]
) -> list[SplitRecord]:
    """The rows with corrected images in the places of other images of TAPO.

    A corrected image of a seen sub-category takes the place in TAPO of one that is none; those of
    TAPO alone go first, and of them the last in the order of `images`. There are as many shots as
    before, and a corrected image for which there is none, or of an unseen sub-category, gets no
    part. images: all of the run. rows: of the split of those that are not corrected.
    """
    parts: dict[str, tuple[Part, ...]] = defaultdict(tuple)
    for row in rows:
        parts[row.image.id] += (row.part,)
    seen = {row.image.class_key: row.seen for row in rows}
    by_class: dict[ClassKey, list[ImageRecord]] = defaultdict(list)
    for image in images:
        by_class[image.class_key].append(image)
    for key, members in by_class.items():
        if seen.get(key):
            _exchange(members, parts)
    return [
        SplitRecord(image=image, seen=seen[image.class_key], part=part)
        for image in images
        for part in parts[image.id]
    ]


def _exchange(members: Sequence[ImageRecord], parts: dict[str, tuple[Part, ...]]) -> None:
    """Give corrected images of one sub-category the places of others in TAPO."""
    waiting = [image for image in members if is_corrected(image)]
    giving = [image for image in members if not is_corrected(image) and "tapo" in parts[image.id]]
    alone = [image for image in giving if "sft" not in parts[image.id]]
    shared = [image for image in giving if "sft" in parts[image.id]]
    order = [*reversed(alone), *reversed(shared)]
    for image, other in zip(waiting, order, strict=False):
        parts[image.id] = ("tapo",)
        parts[other.id] = tuple(part for part in parts[other.id] if part != "tapo")


def num_corrected(rows: Sequence[SplitRecord]) -> int:
    """Corrected images that are trained on."""
    return len({row.image.id for row in rows if is_corrected(row.image)})
