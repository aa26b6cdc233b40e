"""The sub-categories of a project, with images to compare with and to try."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from finer1.draws import draw
from finer1.evaluation.answers import normalise
from finer1.own.corrected_shots import is_corrected
from finer1.paths import Paths
from finer1.records import ClassKey, ImageRecord, SplitRecord, read_jsonl
from finer1.splits import unused_images

REFERENCES = 3
"""Images shown of a sub-category."""
EXAMPLES = 8
"""Images to try."""


@dataclass(frozen=True)
class ProjectClasses:
    """What a run knows of its sub-categories; test images are in none of it but `known`."""

    names: Mapping[str, tuple[str, ...]]
    """Category -> names, sorted."""
    keys: tuple[ClassKey, ...]
    """All, sorted."""
    known: Mapping[str, ImageRecord]
    """SHA-256 -> the image of the data with these bytes, one that models are tested on first;
    without corrected ones, which may be picked anew."""
    examples: tuple[ImageRecord, ...]
    """Of different sub-categories, training images that no training uses first."""
    _references: Mapping[tuple[str, str], tuple[str, ...]]

    def references(self, category: str, name: str) -> tuple[str, ...]:
        """Ids of training images of a sub-category, by any spelling of its name that is right."""
        return self._references.get((category, normalise(name)), ())


NO_CLASSES = ProjectClasses({}, (), {}, (), {})
"""Outside of a project."""


def read_classes(paths: Paths, home: Path, seed: int) -> ProjectClasses:
    """The sub-categories of the run in `home`; none before its first."""
    index, splits = home / paths.index, home / paths.splits
    if not index.is_file() or not splits.is_file():
        return NO_CLASSES
    return classes_of(read_jsonl(index, ImageRecord), read_jsonl(splits, SplitRecord), seed)


def classes_of(
    images: Sequence[ImageRecord], splits: Sequence[SplitRecord], seed: int
) -> ProjectClasses:
    """See read_classes; seed: of the examples."""
    names: dict[str, set[str]] = defaultdict(set)
    references: dict[tuple[str, str], list[str]] = defaultdict(list)
    test = _test_contents(images)
    for image in images:
        names[image.category].add(image.label)
        if image.official == "train" and image.sha256 not in test:
            references[image.category, normalise(image.label)].append(image.id)
    return ProjectClasses(
        names={category: tuple(sorted(names[category])) for category in sorted(names)},
        keys=tuple(sorted({image.class_key for image in images})),
        known=_known(images),
        examples=_examples(images, splits, seed),
        _references={key: tuple(ids[:REFERENCES]) for key, ids in references.items()},
    )


def _known(images: Sequence[ImageRecord]) -> dict[str, ImageRecord]:
    known: dict[str, ImageRecord] = {}
    for side in ("test", "validation", "train"):
        for image in images:
            if image.official == side and not is_corrected(image):
                known.setdefault(image.sha256, image)
    return known


def _test_contents(images: Sequence[ImageRecord]) -> set[str]:
    return {image.sha256 for image in images if image.official == "test"}


def _examples(
    images: Sequence[ImageRecord], splits: Sequence[SplitRecord], seed: int
) -> tuple[ImageRecord, ...]:
    """Some images of different sub-categories, the categories in turn."""
    test = _test_contents(images)
    unused = list(unused_images(images, splits))
    trained = [image for image in images if image.official == "train"]
    chosen: dict[ClassKey, ImageRecord] = {}
    for image in [*_drawn(unused, seed), *_drawn(trained, seed)]:
        if image.sha256 not in test:
            chosen.setdefault(image.class_key, image)
    turns: dict[str, int] = defaultdict(int)
    ranked = []
    for image in chosen.values():
        ranked.append((turns[image.category], image.category, image))
        turns[image.category] += 1
    ranked.sort(key=lambda item: item[:2])
    return tuple(image for _, _, image in ranked[:EXAMPLES])


def _drawn(images: Sequence[ImageRecord], seed: int) -> list[ImageRecord]:
    return sorted(images, key=lambda image: draw(seed, "example", image.id))
