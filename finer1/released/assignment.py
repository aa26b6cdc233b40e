"""Which SFT images have a released rationale, told as the teacher's yield is told."""

from collections import defaultdict
from collections.abc import Iterable

from finer1.records import ClassKey, ImageRecord
from finer1.released.rationales import ReleasedRationales
from finer1.teacher.rationales import Outcome
from finer1.teacher.yields import ClassYield

NOT_RELEASED, OTHER_ANSWER = "not_in_release", "other_answer"

RELEASED_REASONS = (NOT_RELEASED, OTHER_ANSWER)
"""Why an image has none."""


def assign_released(images: Iterable[ImageRecord], released: ReleasedRationales) -> Outcome:
    """The rationales of the images, in their order, and the yield of each sub-category.

    Nothing is sampled: `samples` counts the released rationales about these images.
    """
    by_image = {item.image_id: item for item in released.rationales}
    yields: dict[ClassKey, ClassYield] = defaultdict(ClassYield)
    kept = []
    for image in images:
        count = yields[image.class_key]
        count.asked += 1
        count.samples += image.id in by_image or image.id in released.mislabelled
        if image.id in by_image:
            count.kept += 1
            kept.append(by_image[image.id])
        else:
            wrong = image.id in released.mislabelled
            count.rejected[OTHER_ANSWER if wrong else NOT_RELEASED] += 1
    return Outcome(kept, dict(sorted(yields.items())))
