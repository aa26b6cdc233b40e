"""Which images the teacher is asked about: those of part sft, and the free ones of a class."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from finer1.draws import draw
from finer1.records import ClassKey, ImageRecord, SplitRecord


def class_key(image: ImageRecord) -> ClassKey:
    """Dataset, category and sub-category."""
    return image.dataset, image.category, image.label


def shot_order(images: Iterable[ImageRecord], seed: int) -> list[ImageRecord]:
    """The images in the order in which the split gives out the shots of a sub-category."""
    return sorted(images, key=lambda image: draw(seed, "shot", image.id))


def take_turns(images: Iterable[ImageRecord], seed: int) -> list[ImageRecord]:
    """The first shot of every sub-category, then the second one of each, and so on.

    The order of the sub-categories is drawn: whoever stops in a round favours no dataset.
    """
    by_class: dict[ClassKey, list[ImageRecord]] = defaultdict(list)
    for image in images:
        by_class[class_key(image)].append(image)
    order = sorted(by_class, key=lambda key: draw(seed, "turn", *key))
    shots = {key: shot_order(by_class[key], seed) for key in order}
    rounds = max(map(len, shots.values()), default=0)
    return [
        shots[key][place] for place in range(rounds) for key in order if place < len(shots[key])
    ]


def free_images(
    index: Iterable[ImageRecord], splits: Sequence[SplitRecord], seed: int
) -> dict[ClassKey, list[ImageRecord]]:
    """The images that a rationale may be about, of each seen sub-category, in shot order.

    Those of part sft, and official training images without any part: a dataset without a
    validation side of its own has none of these, since its validation takes all that is left.
    """
    sft = {row.image.id for row in splits if row.part == "sft"}
    parts = {row.image.id for row in splits}
    contents = {row.image.sha256 for row in splits}
    seen = {class_key(row.image) for row in splits if row.seen}
    free: dict[ClassKey, list[ImageRecord]] = defaultdict(list)
    for image in index:
        is_unused = image.id not in parts and image.sha256 not in contents
        if image.id in sft or (image.official == "train" and is_unused):
            free[class_key(image)].append(image)
    return {key: shot_order(free[key], seed) for key in sorted(seen)}


def next_image(
    free: Mapping[ClassKey, Sequence[ImageRecord]], key: ClassKey, used: Collection[str]
) -> ImageRecord | None:
    """The first free image of a sub-category whose id is not among the used ones."""
    return next((image for image in free.get(key, ()) if image.id not in used), None)
