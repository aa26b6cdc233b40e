"""What a person is shown: rationales in the order of need, with what they are judged by."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from finer1.paths import Paths
from finer1.records import ClassKey, Concepts, Queued, Rationale, SplitRecord, read_jsonl
from finer1.teacher.decisions import TextKey, text_key
from finer1.teacher.given_concepts import given_concepts
from finer1.teacher.yields import ClassYield, read_yields

REFERENCES = 2
"""Other images shown of a sub-category."""

_REFERENCE_PARTS = ("sft", "tapo", "validation")
"""Never test images: who corrects training texts should not see them."""


@dataclass(frozen=True)
class Item:
    """One rationale to be judged."""

    rationale: Rationale
    failed: tuple[str, ...]
    """Checks that it fails; empty when it passed the filters."""
    concepts: tuple[str, ...]
    """Best first."""
    same: tuple[str, ...]
    """Ids of other images of its sub-category."""
    competitor: str | None
    """The first option that is not the label."""
    others: tuple[str, ...]
    """Ids of images of the competitor."""

    @property
    def key(self) -> TextKey:
        """What decisions on it quote."""
        return text_key(self.rationale)


def read_items(paths: Paths, per_class: int | None) -> list[Item]:
    """The rationales that passed or wait in the queue, the classes of lowest yield first.

    Within a class the queued ones come first, then those that took most attempts, on which the
    teacher's samples and the filters disagreed. per_class: at most so many of each class.
    Raises ValueError when there is none.
    """
    if not paths.rationales.exists():
        raise ValueError(f"{paths.rationales} is missing; make it: finer1 run cot")
    # A run whose review was off has no queue.
    queued = read_jsonl(paths.queue, Queued) if paths.queue.exists() else []
    passed = [Queued(row, ()) for row in read_jsonl(paths.rationales, Rationale)]
    if not queued and not passed:
        raise ValueError(f"{paths.rationales} holds no rationale; look at {paths.cot_yield}")
    ordered = order_rows([*queued, *passed], read_yields(paths.cot_yield))
    splits = read_jsonl(paths.splits, SplitRecord)
    sft = [row.image for row in splits if row.part == "sft"]
    concepts = given_concepts(read_jsonl(paths.concepts, Concepts), sft)
    references = _references(splits)
    items = []
    taken: Counter[ClassKey] = Counter()
    for row in ordered:
        key = _class_key(row.rationale)
        taken[key] += 1
        if per_class is None or taken[key] <= per_class:
            items.append(_item(row, concepts, references))
    return items


def order_rows(rows: Sequence[Queued], yields: Mapping[ClassKey, ClassYield]) -> list[Queued]:
    """Lowest yield of the class first; then the queued, then the most attempts, then by id."""
    shares = {
        key: (count.kept / max(count.asked, 1), count.kept / max(count.samples, 1))
        for key, count in yields.items()
    }

    def rank(row: Queued) -> tuple[tuple[float, float], ClassKey, bool, int, str]:
        key, item = _class_key(row.rationale), row.rationale
        return shares.get(key, (0.0, 0.0)), key, not row.failed, -item.attempts, item.id

    return sorted(rows, key=rank)


def _item(
    row: Queued,
    concepts: Callable[[str, ClassKey], tuple[str, ...] | None],
    references: Mapping[ClassKey, Sequence[str]],
) -> Item:
    item = row.rationale
    competitor = next((name for name in item.options if name != item.label), None)
    same = [name for name in references.get(_class_key(item), ()) if name != item.image_id]
    dataset, category, _ = _class_key(item)
    others = references.get((dataset, category, competitor), ()) if competitor else ()
    return Item(
        rationale=item,
        failed=row.failed,
        concepts=concepts(item.image_id, _class_key(item)) or (),
        same=tuple(same[:REFERENCES]),
        competitor=competitor,
        others=tuple(others[:REFERENCES]),
    )


def _class_key(rationale: Rationale) -> ClassKey:
    return rationale.image_id.partition("/")[0], rationale.category, rationale.label


def _references(splits: Sequence[SplitRecord]) -> dict[ClassKey, list[str]]:
    """Sub-category -> ids of its images, those of training first."""
    found: dict[ClassKey, list[str]] = {}
    for part in _REFERENCE_PARTS:
        for row in splits:
            key = (row.image.dataset, row.image.category, row.image.label)
            names = found.setdefault(key, [])
            if row.part == part and row.image.id not in names:
                names.append(row.image.id)
    return found
