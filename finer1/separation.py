"""That training and evaluation are apart: checked from the rows on every run.

No image with a part in training is evaluated, and no unseen sub-category has an image or an answer
in training. Rationales may name unseen ones: that is text, and only counted. What is recorded is
how much was checked; what must be zero stands in the error when it is not.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from finer1.evaluation.answers import named_labels, normalise
from finer1.records import ClassKey, ImageRecord, Rationale, SplitRecord, Triplet
from finer1.splits import unused_images

TRAINING = ("sft", "tapo")
"""Parts of images that train; the other parts are evaluated."""

_MOST_SHOWN = 20


@dataclass(frozen=True)
class Duplicate:
    """Two images with the same bytes, in other parts or sub-categories."""

    row: SplitRecord
    other: SplitRecord
    """One that trains, where any does."""

    @property
    def is_leak(self) -> bool:
        """True when one of them trains and the other is evaluated."""
        return (self.row.part in TRAINING) != (self.other.part in TRAINING)

    def __str__(self) -> str:
        row, other = self.row, self.other
        return (
            f"{row.image.id} ({row.part}, {row.image.label}) is the same file as "
            f"{other.image.id} ({other.part}, {other.image.label})"
        )


@dataclass(frozen=True)
class Naming:
    """Unseen sub-categories in what the rationales say."""

    rationales: int
    """Rationales that name an unseen sub-category."""
    labels: frozenset[tuple[str, str]]
    """The unseen ones named: category, sub-category."""
    searched: int
    """Rationales kept word for word, whose whole text was searched; of the others the options."""


def find_duplicates(rows: Iterable[SplitRecord]) -> list[Duplicate]:
    """Each part and class with the bytes of an image of another part or class, and such an image.

    Where one of them trains, all are beside it, so that every evaluated one counts as a leak.
    """
    by_content: dict[str, list[SplitRecord]] = defaultdict(list)
    for row in rows:
        by_content[row.image.sha256].append(row)
    found = []
    for same in by_content.values():
        groups: dict[tuple[str, ClassKey], dict[str, SplitRecord]] = defaultdict(dict)
        for row in sorted(same, key=lambda row: row.part not in TRAINING):  # stable
            groups[row.part, row.image.class_key].setdefault(row.image.id, row)
        first, *others = groups.values()
        # Two are enough: an image with two parts is no duplicate of itself.
        twins = [*first.values()][:2]
        for group in others:
            pairs = ((row, twin) for twin in twins for row in [*group.values()][:2])
            found += [Duplicate(*pair) for pair in pairs if pair[0].image.id != pair[1].image.id][
                :1
            ]
    return found


def check_split(rows: Sequence[SplitRecord], overlap: bool) -> dict[str, float]:
    """What was checked, and what SFT and TAPO share.

    overlap: an image may have both training parts. Raises ValueError that counts the images and
    sub-categories that are not apart, with a line per image that is trained on and evaluated, has
    a part twice, or trains although its sub-category is unseen or the image is of the official
    test side.
    """
    parts: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        parts[row.image.id].append(row.part)
    wrong = [line for row in rows for line in _wrong_row(row)]
    for image_id, own in parts.items():
        is_shared = sorted(own) == ["sft", "tapo"] and overlap
        if len(own) > 1 and not is_shared:
            wrong.append(f"{image_id} has the parts {' and '.join(own)}")
    seen, unseen = _classes(rows, True), _classes(rows, False)
    wrong += [
        f"{label} ({category}, {dataset}) is both seen and unseen"
        for dataset, category, label in sorted(seen & unseen)
    ]
    training = [row.image for row in rows if row.part in TRAINING]
    trained = {image.id for image in training}
    evaluated = {row.image.id for row in rows if row.part not in TRAINING}
    if wrong:
        unseen_trained = {image.class_key for image in training} & unseen
        summary = (
            f"the split is not apart: {len(trained & evaluated)} of {len(trained)} images trained "
            f"on are evaluated, {len(unseen_trained)} of {len(unseen)} unseen sub-categories are "
            "trained on"
        )
        raise ValueError("\n".join([summary, *cut_short(wrong)]))
    shared = {image_id for image_id, own in parts.items() if len(own) > 1}
    return {
        "split/checked_images": len(parts),
        "split/checked_classes": len(seen | unseen),
        "split/training_images": len(trained),
        "split/evaluation_images": len(evaluated),
        "split/overlap_images": len(shared),
        "split/overlap_classes": len({i.class_key for i in training if i.id in shared}),
        "split/unseen_seen_elsewhere": len(seen_elsewhere(rows)),
    }


def seen_elsewhere(rows: Iterable[SplitRecord]) -> list[ClassKey]:
    """The unseen sub-categories (dataset, category, label) whose name is seen in another dataset
    or category: where several are trained on at once, they are unseen as classes only."""
    rows = list(rows)
    seen = {normalise(label) for _, _, label in _classes(rows, True)}
    return sorted(key for key in _classes(rows, False) if normalise(key[2]) in seen)


def check_rationales(
    rationales: Sequence[Rationale],
    rows: Sequence[SplitRecord],
    index: Iterable[ImageRecord],
    source: str,
) -> dict[str, float]:
    """Counts of what SFT is given.

    index: all images, also those without a part: a rationale may be about another training image
    of a class than that of part sft. source: the file of the rationales, for the message.
    Raises ValueError with a line per rationale that is neither about a seen image of part sft nor
    about a free one, or whose label is not the image's.
    """
    seen = _classes(rows, True)
    images = {
        image.id: SplitRecord(image=image, seen=image.class_key in seen, part="sft")
        for image in unused_images(index, rows)
    }
    num_free = len({row.image_id for row in rationales} & images.keys())
    images |= {row.image.id: row for row in rows if row.part == "sft"}
    wrong = []
    for rationale in rationales:
        row = images.get(rationale.image_id)
        where = f"{source}: {rationale.id}"
        if row is None:
            wrong.append(f"{where}: {rationale.image_id} is no image of part sft, and no free one")
        elif not row.seen:
            wrong.append(f"{where}: {row.image.label} is an unseen sub-category")
        elif (rationale.category, rationale.label) != (row.image.category, row.image.label):
            wrong.append(
                f"{where}: the label is {rationale.label} ({rationale.category}), that of "
                f"{row.image.id} is {row.image.label} ({row.image.category})"
            )
    _raise_all(wrong, "; run the stages from split on again, or correct the review's decisions")
    return {
        "sft/rationales": len(rationales),
        "sft/images": len({row.image_id for row in rationales}),
        "sft/images_without_part": num_free,
    }


def unseen_named(rationales: Sequence[Rationale], rows: Iterable[SplitRecord]) -> Naming:
    """The unseen sub-categories that the rationales name, names normalised.

    Looked at are the options, and of a rationale kept word for word the whole text: there every
    whole name counts, but not one that stands inside a longer one of the category.
    """
    names: dict[str, set[str]] = defaultdict(set)
    unseen: dict[tuple[str, str], str] = {}
    for row in rows:
        name = normalise(row.image.label)
        names[row.image.category].add(name)
        if not row.seen:
            unseen[row.image.category, name] = row.image.label
    sorted_names = {category: sorted(names[category]) for category in names}
    labels: set[tuple[str, str]] = set()
    counts = Counter[str]()
    for rationale in rationales:
        found = {normalise(name) for name in rationale.options}
        if rationale.completion is not None:
            found |= {*named_labels(rationale.completion, sorted_names.get(rationale.category, []))}
            counts["searched"] += 1
        keys = {(rationale.category, name) for name in found} & unseen.keys()
        counts["naming"] += bool(keys)
        labels |= {(category, unseen[category, name]) for category, name in keys}
    return Naming(counts["naming"], frozenset(labels), counts["searched"])


def check_triplets(
    triplets: Sequence[Triplet], rows: Iterable[SplitRecord], source: str
) -> dict[str, float]:
    """Counts of what TAPO is given.

    source: the file of the triplets, for the message. Raises ValueError with a line per image
    that is no seen training image of part tapo, or not of the dataset, category and sub-category
    that its place needs, and per triplet whose negative is of the anchor's own sub-category.
    """
    usable = {row.image.id: row.image for row in rows if row.part == "tapo" and row.seen}
    wrong = []
    for triplet in triplets:
        anchor = usable.get(triplet.anchor)
        # Without an anchor in its place the others have no dataset to be of.
        dataset = anchor.dataset if anchor else ""
        own = (dataset, triplet.category, triplet.label)
        other = (dataset, triplet.category, triplet.negative_label)
        faults = [("anchor", triplet.anchor, _fault(anchor, own))]
        faults += [("positive", i, _fault(usable.get(i), own)) for i in triplet.positives if anchor]
        faults += [
            ("negative", i, _fault(usable.get(i), other)) for i in triplet.negatives if anchor
        ]
        if other == own:
            faults.append(("negative", triplet.negative_label, "is the same sub-category"))
        wrong += [
            f"{source}: {place} of {triplet.anchor}: {name} {fault}"
            for place, name, fault in faults
            if fault
        ]
    _raise_all(wrong, "; run the stage triplets again")
    used = {i for t in triplets for i in (t.anchor, *t.positives, *t.negatives)}
    return {
        "triplets/anchors": len(triplets),
        "triplets/images": len(used),
        "triplets/positives_augmented": sum(triplet.is_augmented for triplet in triplets),
    }


def _fault(image: ImageRecord | None, wanted: ClassKey) -> str | None:
    if image is None:
        return "is no seen training image of part tapo"
    if image.class_key == wanted:
        return None
    return f"shows {_name(image.class_key)} and not {_name(wanted)}"


def _name(key: ClassKey) -> str:
    return f"{key[2]} ({key[1]}, {key[0]})"


def _wrong_row(row: SplitRecord) -> list[str]:
    if row.part in TRAINING and not row.seen:
        return [f"{row.image.id} has the part {row.part}, but {row.image.label} is unseen"]
    if (row.part == "test") != (row.image.official == "test"):
        return [f"{row.image.id} has the part {row.part}, officially {row.image.official}"]
    return []


def _classes(rows: Iterable[SplitRecord], seen: bool) -> set[ClassKey]:
    return {row.image.class_key for row in rows if row.seen is seen}


def cut_short(lines: Sequence[str]) -> list[str]:
    """The first lines, and how many more there are."""
    more = [f"... and {len(lines) - _MOST_SHOWN} more"] if len(lines) > _MOST_SHOWN else []
    return [*lines[:_MOST_SHOWN], *more]


def _raise_all(wrong: Sequence[str], remedy: str) -> None:
    if wrong:
        raise ValueError("\n".join(cut_short([f"{line}{remedy}" for line in wrong])))
