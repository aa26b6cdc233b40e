"""Seen and unseen sub-categories, and the part that each image plays (Sec. 5.1 of Fine-R1).

Classes and images are chosen by seeded hash: a class that grows changes no other class, and an
image added to a class changes at most one of its shots.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from finer1.data_params import SplitParams
from finer1.datasets.released import released_classes
from finer1.draws import draw
from finer1.records import ImageRecord, Part, SplitRecord

ClassKey = tuple[str, str, str]
"""Dataset, category, sub-category."""


@dataclass(frozen=True)
class Split:
    """The outcome of split_images."""

    rows: list[SplitRecord]
    """In the order of the index; images without a part are left out."""
    duplicates: list[str]
    """A sentence per pair of rows with equal bytes but other parts or labels."""


def split_images(
    records: Sequence[ImageRecord], settings: SplitParams, seed: int, allow_duplicates: bool
) -> Split:
    """Give each image its part.

    Per seen sub-category `sft_shots` and then `tapo_shots` official training images; validation
    is the official one or, in a dataset without, what is left of the training images of all
    sub-categories; test is the official test. Raises ValueError naming every sub-category with
    too few images, or the duplicates unless they are allowed.
    """
    by_class: dict[ClassKey, list[ImageRecord]] = defaultdict(list)
    for record in records:
        by_class[_class_key(record)].append(record)
    seen = choose_seen(by_class, settings, seed)
    _check_enough(by_class, seen, settings)
    validated = {record.dataset for record in records if record.official == "validation"}
    parts: dict[str, Part] = {}
    for key, members in by_class.items():
        parts.update(_parts(members, key in seen, key[0] in validated, settings, seed))
    rows = [
        SplitRecord(image=record, seen=_class_key(record) in seen, part=parts[record.id])
        for record in records
        if record.id in parts
    ]
    duplicates = find_duplicates(rows)
    if duplicates and not allow_duplicates:
        raise ValueError("\n".join(duplicates))
    return Split(rows, duplicates)


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


def find_duplicates(rows: Iterable[SplitRecord]) -> list[str]:
    """A sentence for each row whose bytes an earlier row has in another part or class."""
    first: dict[str, SplitRecord] = {}
    found = []
    for row in rows:
        other = first.setdefault(row.image.sha256, row)
        if (row.part, _class_key(row.image)) != (other.part, _class_key(other.image)):
            found.append(
                f"{row.image.id} ({row.part}, {row.image.label}) is the same file as "
                f"{other.image.id} ({other.part}, {other.image.label}); remove one of them, or "
                "set download.subset to true to only have them counted"
            )
    return found


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


def _check_enough(
    by_class: dict[ClassKey, list[ImageRecord]], seen: set[ClassKey], settings: SplitParams
) -> None:
    needed = settings.sft_shots + settings.tapo_shots
    lacking = []
    for key, members in by_class.items():
        has = sum(record.official == "train" for record in members)
        if key in seen and has < needed:
            lacking.append(
                f"{key[2]} ({key[1]}, {key[0]}) has {has} training images and needs {needed} "
                f"(split.sft_shots {settings.sft_shots} + split.tapo_shots "
                f"{settings.tapo_shots}); add images or lower the shots"
            )
        if not any(record.official == "test" for record in members):
            lacking.append(f"{key[2]} ({key[1]}, {key[0]}) has no test image; add one")
    if lacking:
        raise ValueError("\n".join(lacking))


def _parts(
    members: list[ImageRecord], seen: bool, has_validation: bool, settings: SplitParams, seed: int
) -> dict[str, Part]:
    """Image id -> part, for the images of one sub-category that have one."""
    train = [record for record in members if record.official == "train"]
    train.sort(key=lambda record: draw(seed, "shot", record.id))
    sft, tapo = (settings.sft_shots, settings.tapo_shots) if seen else (0, 0)
    parts: dict[str, Part] = {record.id: "sft" for record in train[:sft]}
    parts |= {record.id: "tapo" for record in train[sft : sft + tapo]}
    if not has_validation:
        parts |= {record.id: "validation" for record in train[sft + tapo :]}
    for record in members:
        if record.official != "train":
            parts[record.id] = record.official
    return parts


def _class_key(record: ImageRecord) -> ClassKey:
    return record.dataset, record.category, record.label
