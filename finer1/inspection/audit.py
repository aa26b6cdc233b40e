"""Everything that is wrong or odd in a dataset, told at once: what, where, what to do."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from finer1.datasets.interface import ListedImage
from finer1.inspection.findings import Finding, describe, some
from finer1.inspection.inspecting import Inspected
from finer1.inspection.names import check_names
from finer1.inspection.near_duplicates import MOST_PAIRS, NearPair, near_duplicates

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Finding", "audit", "describe", "near_duplicate_sheet"]

UNEQUAL = 5
"""Images of the largest class over those of the smallest, from which a warning is given."""

MOST_SHOWN_PAIRS = 60
"""Pairs on a sheet of near-duplicates."""

Seen = Sequence[tuple[ListedImage, Inspected]]


def audit(
    dataset: str,
    images: Sequence[ListedImage],
    inspected: Sequence[Inspected],
    needed_shots: int | None,
) -> list[Finding]:
    """All findings, errors first.

    needed_shots: training images that each class must have; None when that is not known yet.
    """
    seen = list(zip(images, inspected, strict=True))
    readable = [(image, look) for image, look in seen if look.error is None]
    findings = [
        *_unreadable(seen),
        *_counts(images, readable, needed_shots),
        *_names(images),
        *_duplicates(readable),
        *_odd(dataset, readable),
        *_near(dataset, near_duplicates(images, inspected)),
        *_sizes(dataset, readable),
    ]
    return sorted(findings, key=lambda finding: finding.level)  # stable: error < warning


def near_duplicate_sheet(
    pairs: Sequence[NearPair], read: "Callable[[ListedImage], Image.Image]"
) -> "Image.Image":
    """The first MOST_SHOWN_PAIRS pairs to look at, with class, side and distance.

    Raises ValueError when there are none.
    """
    from finer1.inspection.sheets import pair_sheet

    return pair_sheet(
        [
            (
                f"{pair.distance} bits: {pair.first.path} | {pair.second.path}",
                (f"{pair.first.official}: {pair.first.label}", read(pair.first)),
                (f"{pair.second.official}: {pair.second.label}", read(pair.second)),
            )
            for pair in pairs[:MOST_SHOWN_PAIRS]
        ]
    )


def _unreadable(seen: Seen) -> Iterator[Finding]:
    for image, look in seen:
        if look.error is not None:
            yield Finding(
                "error",
                "unreadable",
                image.where,
                look.error.removeprefix(f"{image.where}: "),
                "replace the file, or leave the image out (download.bad_images: skip)",
            )


def _counts(
    images: Sequence[ListedImage], readable: Seen, needed_shots: int | None
) -> Iterator[Finding]:
    """Classes that cannot be trained on or tested."""
    sides = Counter((image.category, image.label, image.official) for image, _ in readable)
    for category, label in sorted({(image.category, image.label) for image in images}):
        found = sides[category, label, "train"]
        where = f"{category} {label!r}"
        if needed_shots is not None and found < needed_shots:
            yield Finding(
                "error",
                "too few images",
                where,
                f"{found} readable training images, and the shots need {needed_shots}",
                "add images, or lower split.sft_shots and split.tapo_shots, or set split.overlap",
            )
        if not sides[category, label, "test"]:
            yield Finding(
                "error",
                "no test image",
                where,
                "no readable image is for the test",
                "add one, or leave the class out: what is never tested has no result",
            )


def _names(images: Sequence[ListedImage]) -> Iterator[Finding]:
    labels: dict[str, set[str]] = defaultdict(set)
    for image in images:
        labels[image.category].add(image.label)
    for category in sorted(labels):
        yield from check_names(category, labels[category])


def _duplicates(readable: Seen) -> Iterator[Finding]:
    """One finding per picture that is there more than once, byte by byte."""
    copies: dict[str, list[ListedImage]] = defaultdict(list)
    for image, look in readable:
        copies[look.sha256].append(image)
    for group in copies.values():
        if len(group) == 1:
            continue
        classes = sorted({f"{image.category} {image.label!r}" for image in group})
        sides = sorted({image.official for image in group})
        what = f"{group[0].path} is the same file as {some([image.path for image in group[1:]])}"
        level: Literal["error", "warning"] = "error"
        remedy = "keep one of them, in the class that it shows"
        if len(classes) > 1:
            what += f", under {len(classes)} classes: {some(classes)}"
        elif len(sides) > 1:
            what += f", on the sides {' and '.join(sides)}"
            remedy = "keep one of them: a model must not be tested on what it was trained on"
        else:
            level, remedy = "warning", "keep one of them: copies count as shots"
        yield Finding(level, "duplicate", group[0].where, what, remedy)


def _odd(dataset: str, readable: Seen) -> Iterator[Finding]:
    """One finding per oddity."""
    places: dict[str, list[str]] = defaultdict(list)
    for image, look in readable:
        for oddity in look.oddities:
            places[oddity].append(image.path)
    for oddity, paths in sorted(places.items()):
        what = f"{oddity}: {len(paths)} of {len(readable)} images: {some(paths)}"
        remedy = _ODD_REMEDIES.get(oddity, "nothing: the content counts, whatever its name")
        yield Finding("warning", "odd image", dataset, what, remedy)


_ODD_REMEDIES = {
    "CMYK": "look at a few of them: they become RGB without their colour profile",
    "16-bit": "nothing, if their 8 upper bits show the picture",
    "1-bit": "replace them where there are photographs",
    "grey": "nothing, unless colour tells the classes apart",
    "palette": "nothing: they become RGB",
    "transparency": "look at a few of them: what is clear becomes white",
    "EXIF rotation": "nothing: they are set upright",
    "several frames": "look at a few of them: the first frame alone counts",
}


def _near(dataset: str, pairs: Sequence[NearPair]) -> Iterator[Finding]:
    """One finding for pairs across sides, one for pairs across classes of one side."""
    for across_sides, words in ((True, "sides"), (False, "classes")):
        found = [pair for pair in pairs if pair.is_across_sides == across_sides]
        if not found:
            continue
        count = f"{len(found)} or more" if len(pairs) >= MOST_PAIRS else str(len(found))
        shown = some([f"{p.first.path} ~ {p.second.path} ({p.distance})" for p in found])
        what = f"pairs of nearly the same picture across {words}: {count} (differing bits): {shown}"
        remedy = "look at the sheet of near-duplicates, and keep one of each real pair"
        yield Finding("warning", "near-duplicate", dataset, what, remedy)


def _sizes(dataset: str, readable: Seen) -> Iterator[Finding]:
    sizes = Counter((image.category, image.label) for image, _ in readable)
    if not sizes:
        return
    (large, most), (small, fewest) = sizes.most_common()[0], sizes.most_common()[-1]
    if most >= UNEQUAL * fewest:
        what = f"{large[1]!r} has {most} images, {small[1]!r} {fewest}"
        remedy = "nothing, but read the mean over classes beside that over images"
        yield Finding("warning", "class sizes", dataset, what, remedy)
