"""Which images the analysis looks at; chosen by seeded hash, so equal for every model."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from finer1.draws import draw
from finer1.evaluation_params import ProbeParams
from finer1.records import ClassKey, ImageRecord


@dataclass(frozen=True)
class ProbeSides:
    """The images that a probe is trained, chosen and tested on."""

    train: list[ImageRecord]
    validation: list[ImageRecord]
    test: list[ImageRecord]
    left_out: int
    """Sub-categories with test images that have no training image."""


def probe_sides(images: Sequence[ImageRecord], settings: ProbeParams, seed: int) -> ProbeSides:
    """The datasets' own sides, all sub-categories, seen and unseen.

    In a dataset without a validation side a share of each sub-category's training images is kept
    for it, but never the only one. A sub-category without a training image is left out. Raises
    ValueError when that leaves no validation or no test image.
    """
    validated = {image.dataset for image in images if image.official == "validation"}
    limit = settings.images_per_class
    sides: dict[str, list[ImageRecord]] = defaultdict(list)
    for side in ("train", "validation", "test"):
        here = [image for image in images if image.official == side]
        for key, members in _ranked(here, seed).items():
            members = members[:limit]
            if side == "train" and key[0] not in validated:
                wanted = max(1, round(settings.validation_fraction * len(members)))
                count = min(wanted, len(members) - 1)
                sides["validation"] += members[:count]
                members = members[count:]
            sides[side] += members
    known = {image.class_key for image in sides["train"]}
    tested = {image.class_key for image in sides["test"]}
    for side in ("validation", "test"):
        sides[side] = [image for image in sides[side] if image.class_key in known]
    if not sides["test"]:
        raise ValueError(
            "analysis.probe: no sub-category has both a training and a test image; add images"
        )
    if not sides["validation"]:
        raise ValueError(
            "analysis.probe: there is no image for validation; add a second training image to some "
            "sub-category, or validation images"
        )
    left_out = len(tested - known)
    return ProbeSides(sides["train"], sides["validation"], sides["test"], left_out)


def choose_test_images(
    images: Iterable[ImageRecord], images_per_class: int, seed: int
) -> list[ImageRecord]:
    """At most so many test images of each sub-category."""
    ranked = _ranked((image for image in images if image.official == "test"), seed)
    return [image for members in ranked.values() for image in members[:images_per_class]]


def class_name(key: ClassKey) -> str:
    """`<dataset>/<category>/<sub-category>`."""
    return "/".join(key)


def _ranked(images: Iterable[ImageRecord], seed: int) -> dict[ClassKey, list[ImageRecord]]:
    """Sub-category -> its images in the order in which they are taken."""
    members: dict[ClassKey, list[ImageRecord]] = defaultdict(list)
    for image in images:
        members[image.class_key].append(image)
    return {
        key: sorted(members[key], key=lambda image: draw(seed, "analysis", image.id))
        for key in sorted(members)
    }
