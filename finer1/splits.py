"""Seen and unseen sub-categories, and the part that each image plays (Sec. 5.1 of Fine-R1).

Classes and images are chosen by seeded hash: a class that grows changes no other class, and an
image added to a class changes at most one of its shots.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction

from finer1.data_params import SplitParams
from finer1.draws import draw
from finer1.own.corrected_shots import is_corrected
from finer1.records import ClassKey, ImageRecord, Part, SplitRecord
from finer1.reference.classes import released_classes


def split_images(
    records: Sequence[ImageRecord],
    settings: SplitParams,
    seed: int,
    preferred: Collection[str] = frozenset(),
) -> list[SplitRecord]:
    """A row per image and part, in the order of `records`; images without a part are left out.

    Per seen sub-category `sft_shots` and then `tapo_shots` official training images; validation
    is the official one or, in a dataset without, what is left of the training images of all
    sub-categories; test is the official test. A sub-category with too few images for both
    stages gives, with `overlap`, some to both; with `shared` every one gives the same to both.
    preferred: ids of images that come first in the order of their sub-category's shots; an official
    validation image among them may train SFT, as 26 of the 59 flowers of the release do, and is
    then none for validation.
    Raises ValueError naming every sub-category with too few images.
    """
    by_class: dict[ClassKey, list[ImageRecord]] = defaultdict(list)
    for record in records:
        by_class[record.class_key].append(record)
    seen = choose_seen(by_class, settings, seed)
    shots = {
        key: _shots(members, preferred, settings.sft_shots, seed)
        for key, members in by_class.items()
    }
    _check_enough(by_class, shots, seen, settings)
    validated = {record.dataset for record in records if record.official == "validation"}
    parts: dict[str, tuple[Part, ...]] = {}
    for key, members in by_class.items():
        parts |= {record.id: (record.official,) for record in members if record.official != "train"}
        if key in seen:
            parts |= _training_parts(shots[key], settings)
        if key[0] not in validated:
            left = [record.id for record in members if record.id not in parts]
            parts |= dict.fromkeys(left, ("validation",))
    return [
        SplitRecord(image=record, seen=record.class_key in seen, part=part)
        for record in records
        for part in parts.get(record.id, ())
    ]


def choose_seen(classes: Iterable[ClassKey], settings: SplitParams, seed: int) -> set[ClassKey]:
    """The seen sub-categories, chosen per dataset and category.

    Raises ValueError when a category would have none that is seen or none that is unseen, or
    when a sub-category is not in the released list.
    """
    groups: dict[tuple[str, str], list[ClassKey]] = defaultdict(list)
    for key in classes:
        groups[key[0], key[1]].append(key)
    seen: set[ClassKey] = set()
    for (dataset, category), members in groups.items():
        if settings.classes == "released":
            chosen = _released(dataset, members)
        else:
            # As a fraction of decimals: floor(0.29 * 100) in floating point is 28.
            count = int(Fraction(str(settings.seen_fraction)) * len(members))
            chosen = set(sorted(members, key=lambda key: draw(seed, "seen", *key))[:count])
        if not chosen or len(chosen) == len(members):
            raise ValueError(
                f"split.seen_fraction: {len(chosen)} of the {len(members)} sub-categories of "
                f"{category} ({dataset}) are seen; at least one must be seen and one unseen"
            )
        seen |= chosen
    return seen


def labels_by_category(rows: Iterable[SplitRecord]) -> dict[str, tuple[str, ...]]:
    """Category -> all its sub-categories, sorted."""
    labels: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        labels[row.image.category].add(row.image.label)
    return {category: tuple(sorted(labels[category])) for category in sorted(labels)}


def shot_order(images: Iterable[ImageRecord], seed: int) -> list[ImageRecord]:
    """The images in the order in which a sub-category's shots are given out."""
    return sorted(images, key=lambda image: draw(seed, "shot", image.id))


def unused_images(
    index: Iterable[ImageRecord], rows: Iterable[SplitRecord]
) -> Iterator[ImageRecord]:
    """The official training images without a part, whose bytes no image with a part has.

    Corrected ones are none: they are for TAPO. index: all images. A dataset without a validation
    side of its own has none of these but what gave its place to a corrected one, since its
    validation takes all that is left.
    """
    rows = list(rows)
    parts = {row.image.id for row in rows}
    contents = {row.image.sha256 for row in rows}
    for image in index:
        is_unused = image.id not in parts and image.sha256 not in contents
        if image.official == "train" and is_unused and not is_corrected(image):
            yield image


def _released(dataset: str, members: list[ClassKey]) -> set[ClassKey]:
    is_seen = released_classes(dataset)
    if not is_seen:
        raise ValueError(
            f"split.classes: there is no released list for the dataset {dataset}; set it to random"
        )
    unknown = sorted(label for _, _, label in members if label not in is_seen)
    if unknown:
        raise ValueError(
            f"split.classes: not in the released list of {dataset}: {', '.join(unknown)}; set it "
            "to random, or correct the names"
        )
    return {key for key in members if is_seen[key[2]]}


def _shots(
    members: Sequence[ImageRecord], preferred: Collection[str], sft_shots: int, seed: int
) -> list[ImageRecord]:
    """The images of one sub-category that may train, in the order in which they are taken."""
    ranked = shot_order(members, seed)
    first = [item for item in ranked if item.id in preferred and item.official != "test"]
    first = first[:sft_shots]
    return first + [item for item in ranked if item.official == "train" and item not in first]


def needed_shots(sft: int, tapo: int, overlap: bool, shared: bool) -> int:
    """Training images that a seen class must have for the split to take it.

    overlap, shared: as in SplitParams.
    """
    if overlap:
        return 1
    return max(sft, tapo) if shared else sft + tapo


def _check_enough(
    by_class: Mapping[ClassKey, Sequence[ImageRecord]],
    shots: Mapping[ClassKey, Sequence[ImageRecord]],
    seen: Collection[ClassKey],
    settings: SplitParams,
) -> None:
    sft, tapo = settings.sft_shots, settings.tapo_shots
    needed = needed_shots(sft, tapo, settings.overlap, settings.shared)
    asked = f"split.sft_shots {sft} {'and' if settings.shared else '+'} split.tapo_shots {tapo}"
    lacking = []
    for key, members in by_class.items():
        name, has = f"{key[2]} ({key[1]}, {key[0]})", len(shots[key])
        if key in seen and not has:
            lacking.append(f"{name} has no training image; add one")
        elif key in seen and has < needed:
            lacking.append(
                f"{name} has {has} training images and needs {needed} ({asked}); add images, lower "
                "the shots, or set split.overlap to true to use some for both stages"
            )
        if not any(record.official == "test" for record in members):
            lacking.append(f"{name} has no test image; add one")
    if lacking:
        raise ValueError("\n".join(lacking))


def _training_parts(
    shots: Sequence[ImageRecord], settings: SplitParams
) -> dict[str, tuple[Part, ...]]:
    """Image id -> parts, for the images of one seen sub-category that train.

    Where they are too few for both stages, SFT takes the first ones and TAPO the last ones: so
    the fewest are shared.
    """
    start = min(settings.sft_shots, max(len(shots) - settings.tapo_shots, 0))
    if settings.shared:
        start = 0
    parts: dict[str, tuple[Part, ...]] = {
        record.id: ("sft",) for record in shots[: settings.sft_shots]
    }
    for record in shots[start : start + settings.tapo_shots]:
        parts[record.id] = (*parts.get(record.id, ()), "tapo")
    return parts
