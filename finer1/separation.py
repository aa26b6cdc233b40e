"""That training and evaluation are apart: checked from the rows on every run, and counted.

No image with a part in training is evaluated, and no unseen sub-category has an image or an answer
in training. Rationales may name unseen ones among their options: that is text, and only counted.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from finer1.evaluation.answers import normalise
from finer1.records import ImageRecord, Rationale, SplitRecord, Triplet

TRAINING = ("sft", "tapo")
"""Parts of images that train; the other parts are evaluated."""

_MOST_SHOWN = 20


@dataclass(frozen=True)
class Duplicate:
    """Two rows with the same bytes, in other parts or sub-categories."""

    row: SplitRecord
    other: SplitRecord
    """The earlier one."""

    @property
    def is_leak(self) -> bool:
        """True when one of them trains and the other is evaluated."""
        return (self.row.part in TRAINING) != (self.other.part in TRAINING)

    @property
    def datasets(self) -> set[str]:
        """The datasets they belong to, one or two."""
        return {self.row.image.dataset, self.other.image.dataset}

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
    """Rationales with an unseen sub-category among their options."""
    labels: frozenset[tuple[str, str]]
    """The unseen ones named: category, sub-category."""
    without_options: int
    """Rationales whose options are not known (of released prose), and so not counted."""


def find_duplicates(rows: Iterable[SplitRecord]) -> list[Duplicate]:
    """Each row whose bytes another image has in another part or class, with the first such."""
    by_content: dict[str, list[SplitRecord]] = defaultdict(list)
    found = []
    for row in rows:
        for other in by_content[row.image.sha256]:
            is_like = (row.part, _class_key(row.image)) == (other.part, _class_key(other.image))
            if row.image.id != other.image.id and not is_like:
                found.append(Duplicate(row, other))
                break
        by_content[row.image.sha256].append(row)
    return found


def check_split(rows: Sequence[SplitRecord], overlap: bool) -> dict[str, float]:
    """Counts of what is trained on and evaluated, and of what the two share.

    overlap: an image may have both training parts. Raises ValueError with a line per image that
    is trained on and evaluated, has a part twice, or trains although its sub-category is unseen
    or the image is of the official test side.
    """
    parts: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        parts[row.image.id].append(row.part)
    wrong = [line for row in rows for line in _wrong_row(row)]
    for image_id, own in parts.items():
        is_shared = sorted(own) == ["sft", "tapo"] and overlap
        if len(own) > 1 and not is_shared:
            wrong.append(f"{image_id} has the parts {' and '.join(own)}")
    wrong += [
        f"{label} ({category}, {dataset}) is both seen and unseen"
        for dataset, category, label in sorted(_classes(rows, True) & _classes(rows, False))
    ]
    _raise_all(wrong)
    shared = {image_id for image_id, own in parts.items() if len(own) > 1}
    classes = {_class_key(row.image) for row in rows if row.image.id in shared}
    training = [row for row in rows if row.part in TRAINING]
    trained = {row.image.id for row in training}
    evaluated = {row.image.id for row in rows if row.part not in TRAINING}
    unseen = _classes(rows, False)
    return {
        "split/training_images": len(trained),
        "split/evaluation_images": len(evaluated),
        "split/trained_and_evaluated": len(trained & evaluated),
        "split/unseen_trained": len({_class_key(row.image) for row in training} & unseen),
        "split/overlap_images": len(shared),
        "split/overlap_classes": len(classes),
        "split/unseen_seen_elsewhere": len(seen_elsewhere(rows)),
    }


def seen_elsewhere(rows: Iterable[SplitRecord]) -> list[tuple[str, str, str]]:
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
    images = _free_images(rows, index)
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
    unseen = {(category, label) for _, category, label in _classes(rows, False)}
    unseen -= {(category, label) for _, category, label in _classes(rows, True)}
    return {
        "sft/rationales": len(rationales),
        "sft/images": len({row.image_id for row in rationales}),
        "sft/images_without_part": num_free,
        "sft/unseen_images": sum(not images[row.image_id].seen for row in rationales),
        "sft/unseen_answers": len({(row.category, row.label) for row in rationales} & unseen),
    }


def _free_images(
    rows: Sequence[SplitRecord], index: Iterable[ImageRecord]
) -> dict[str, SplitRecord]:
    """Image id -> its row, as if of part sft, of the official training images that have no part
    and whose bytes no image with a part has."""
    parts = {row.image.id for row in rows}
    contents = {row.image.sha256 for row in rows}
    seen = _classes(rows, True)
    return {
        image.id: SplitRecord(image=image, seen=_class_key(image) in seen, part="sft")
        for image in index
        if image.official == "train" and image.id not in parts and image.sha256 not in contents
    }


def unseen_named(rationales: Sequence[Rationale], rows: Iterable[SplitRecord]) -> Naming:
    """The unseen sub-categories among the options of the rationales, names normalised."""
    unseen = {
        (category, normalise(label)): (category, label)
        for _, category, label in _classes(rows, False)
    }
    named = [
        {unseen[key] for name in row.options if (key := (row.category, normalise(name))) in unseen}
        for row in rationales
    ]
    return Naming(
        rationales=sum(bool(labels) for labels in named),
        labels=frozenset().union(*named),
        without_options=sum(not row.options for row in rationales),
    )


def check_triplets(
    triplets: Sequence[Triplet], rows: Iterable[SplitRecord], source: str
) -> dict[str, float]:
    """Counts of what TAPO is given.

    source: the file of the triplets, for the message. Raises ValueError with a line per image
    that is no seen training image of part tapo, or not of the sub-category its place needs.
    """
    usable = {row.image.id: row.image for row in rows if row.part == "tapo" and row.seen}
    wrong = []
    for triplet in triplets:
        places = {
            "anchor": ((triplet.anchor,), triplet.label),
            "positive": (triplet.positives, triplet.label),
            "negative": (triplet.negatives, triplet.negative_label),
        }
        wrong += [
            f"{source}: {place} of {triplet.anchor}: {name} {fault}"
            for place, (names, label) in places.items()
            for name in names
            if (fault := _fault(usable.get(name), label))
        ]
        if triplet.anchor in usable:
            own = _class_key(usable[triplet.anchor])
            wrong += [
                f"{source}: negative of {triplet.anchor}: {name} is of the same sub-category"
                for name in triplet.negatives
                if name in usable and _class_key(usable[name]) == own
            ]
    _raise_all(wrong, "; run the stage triplets again")
    used = {
        name
        for triplet in triplets
        for name in (triplet.anchor, *triplet.positives, *triplet.negatives)
    }
    return {
        "triplets/images": len(used),
        "triplets/unseen_images": len(used - usable.keys()),
        # There is no other image: its positive is an augmentation of the anchor itself.
        "triplets/positives_augmented": sum(t.positives == (t.anchor,) for t in triplets),
    }


def _fault(image: ImageRecord | None, label: str) -> str | None:
    if image is None:
        return "is no seen training image of part tapo"
    return None if image.label == label else f"shows {image.label} and not {label}"


def _wrong_row(row: SplitRecord) -> list[str]:
    if row.part in TRAINING and not row.seen:
        return [f"{row.image.id} has the part {row.part}, but {row.image.label} is unseen"]
    if (row.part == "test") != (row.image.official == "test"):
        return [f"{row.image.id} has the part {row.part}, officially {row.image.official}"]
    return []


def _classes(rows: Iterable[SplitRecord], seen: bool) -> set[tuple[str, str, str]]:
    return {_class_key(row.image) for row in rows if row.seen is seen}


def _class_key(image: ImageRecord) -> tuple[str, str, str]:
    return image.dataset, image.category, image.label


def _raise_all(wrong: Sequence[str], remedy: str = "") -> None:
    if not wrong:
        return
    more = [f"... and {len(wrong) - _MOST_SHOWN} more"] if len(wrong) > _MOST_SHOWN else []
    raise ValueError("\n".join([*(f"{line}{remedy}" for line in wrong[:_MOST_SHOWN]), *more]))
