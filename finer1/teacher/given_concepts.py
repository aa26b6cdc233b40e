"""The concepts that the teacher is given of an image, which a reviewer is shown too."""

from collections.abc import Callable, Iterable, Mapping

from finer1.records import ClassKey, Concepts, ImageRecord


def given_concepts(
    rows: Iterable[Concepts], sft: Iterable[ImageRecord]
) -> Callable[[str, ClassKey], tuple[str, ...] | None]:
    """Finds the concepts, best first, for the id and the sub-category of an image.

    An image that the stage `concepts` did not see has those of the first image of its sub-category
    in part sft; None where that has none either.
    """
    of_image: Mapping[str, tuple[str, ...]] = {row.image_id: row.concepts for row in rows}
    of_class: dict[ClassKey, tuple[str, ...] | None] = {}
    for image in sft:
        of_class.setdefault(image.class_key, of_image.get(image.id))
    return lambda image_id, key: of_image.get(image_id, of_class.get(key))
