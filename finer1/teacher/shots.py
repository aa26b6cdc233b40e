"""Which images the teacher is asked about: those of part sft, and the free ones of a class."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from finer1.draws import draw
from finer1.records import ClassKey, ImageRecord, SplitRecord
from finer1.splits import shot_order, unused_images


def first_shots(
    images: Iterable[ImageRecord], per_class: int | None, seed: int
) -> list[ImageRecord]:
    """The first shots of every sub-category, in the order of `images`; all of them for None."""
    images = list(images)
    if per_class is None:
        return images
    by_class: dict[ClassKey, list[ImageRecord]] = defaultdict(list)
    for image in images:
        by_class[image.class_key].append(image)
    chosen = {
        image.id for shots in by_class.values() for image in shot_order(shots, seed)[:per_class]
    }
    return [image for image in images if image.id in chosen]


def take_turns(images: Iterable[ImageRecord], seed: int) -> list[ImageRecord]:
    """The first shot of every sub-category, then the second one of each, and so on.

    The order of the sub-categories is drawn: whoever stops in a round favours no dataset.
    """
    by_class: dict[ClassKey, list[ImageRecord]] = defaultdict(list)
    for image in images:
        by_class[image.class_key].append(image)
    order = sorted(by_class, key=lambda key: draw(seed, "turn", *key))
    shots = {key: shot_order(by_class[key], seed) for key in order}
    rounds = max(map(len, shots.values()), default=0)
    return [
        shots[key][place] for place in range(rounds) for key in order if place < len(shots[key])
    ]


def free_images(
    index: Iterable[ImageRecord], splits: Sequence[SplitRecord], seed: int
) -> dict[ClassKey, list[ImageRecord]]:
    """The images that a rationale may be about, of each seen sub-category, in shot order: those
    of part sft, and unused ones (unused_images)."""
    free: dict[ClassKey, list[ImageRecord]] = {
        key: [] for key in sorted({row.image.class_key for row in splits if row.seen})
    }
    sft = [row.image for row in splits if row.part == "sft"]
    for image in (*sft, *unused_images(index, splits)):
        if image.class_key in free:
            free[image.class_key].append(image)
    return {key: shot_order(images, seed) for key, images in free.items()}


def next_image(
    free: Mapping[ClassKey, Sequence[ImageRecord]], key: ClassKey, used: Collection[str]
) -> ImageRecord | None:
    """The first free image of a sub-category whose id is not among the used ones."""
    return next((image for image in free.get(key, ()) if image.id not in used), None)
