"""Everything that is wrong or odd in a dataset, told at once: what, where, what to do."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from finer1.datasets.interface import ListedImage
from finer1.inspection.findings import Finding, some
from finer1.inspection.inspecting import Inspected
from finer1.inspection.names import check_names, check_words
from finer1.inspection.near_duplicates import NearPair, NearPairs

if TYPE_CHECKING:
    from PIL import Image

UNEQUAL = 5
"""Images of the largest class over those of the smallest, from which a warning is given."""

MOST_SHOWN_PAIRS = 60
"""Pairs on a sheet of near-duplicates."""

Seen = Sequence[tuple[ListedImage, Inspected]]

IN_A_RUN = "replace the file, or leave the image out (download.bad_images: skip)"
"""What helps against an unreadable image of a dataset of the run."""


@dataclass(frozen=True)
class Shots:
    """Training images that classes must have."""

    needed: int
    remedy: str
    """What to do about a class with fewer, beside adding images."""
    classes: Collection[tuple[str, str]] | None = None
    """Category and label of those that must; None for all."""

    def asked_of(self, category: str, label: str) -> int:
        """Those of one class."""
        is_meant = self.classes is None or (category, label) in self.classes
        return self.needed if is_meant else 0


def audit(
    dataset: str,
    images: Sequence[ListedImage],
    inspected: Sequence[Inspected],
    near: NearPairs,
    shots: Shots | None = None,
    unreadable_remedy: str = IN_A_RUN,
) -> list[Finding]:
    """All findings, errors first.

    near: near_duplicates(images, inspected). shots: None when they are not known yet.
    """
    seen = list(zip(images, inspected, strict=True))
    readable = [(image, look) for image, look in seen if look.error is None]
    findings = [
        *_unreadable(seen, unreadable_remedy),
        *_changed(readable),
        *_counts(images, readable, shots or Shots(0, "")),
        *_names(images),
        *_duplicates(readable),
        *_odd(dataset, readable),
        *_near(dataset, near),
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


def _unreadable(seen: Seen, remedy: str) -> Iterator[Finding]:
    for image, look in seen:
        if look.error is not None:
            what = look.error.removeprefix(f"{image.where}: ")
            yield Finding("error", "unreadable", image.where, what, remedy)


def _changed(readable: Seen) -> Iterator[Finding]:
    for image, look in readable:
        if image.sha256 is not None and image.sha256 != look.sha256:
            what = f"{image.path} is not the file that was added"
            remedy = "put that file back, or add the dataset anew by `finer1 data add --replace`"
            yield Finding("error", "changed", image.where, what, remedy)


def _counts(images: Sequence[ListedImage], readable: Seen, shots: Shots) -> Iterator[Finding]:
    """Classes that cannot be trained on or tested."""
    sides = Counter((image.category, image.label, image.official) for image, _ in readable)
    for category, label in sorted({(image.category, image.label) for image in images}):
        found = sides[category, label, "train"]
        where = f"{category} {label!r}"
        needed = shots.asked_of(category, label)
        if found < needed:
            what = f"{found} readable training images, and the shots need {needed}"
            # A class with none is not helped by fewer shots.
            remedy = f"add images, or {shots.remedy}" if found else "add images"
            yield Finding("error", "too few images", where, what, remedy)
        if not sides[category, label, "test"]:
            yield Finding(
                "error",
                "no test image",
                where,
                "no readable image is for the test",
                "add one, or leave the class out: what is never tested has no result",
            )


def _names(images: Sequence[ListedImage]) -> Iterator[Finding]:
    yield from check_words("category", {image.category for image in images})
    yield from check_words("group", {image.group for image in images if image.group is not None})
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
        first, *others = (image.path for image in group)
        what = f"{first} is the same file as {some(others)}"
        level: Literal["error", "warning"] = "error"
        remedy = (
            "keep one of them, in the class that it shows (download.duplicates: count accepts both)"
        )
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


def _near(dataset: str, near: NearPairs) -> Iterator[Finding]:
    """One finding for pairs across sides, one for pairs across classes of one side."""
    for across_sides, words in ((True, "sides"), (False, "classes")):
        found = [pair for pair in near.pairs if pair.is_across_sides == across_sides]
        if not found:
            continue
        count = f"{len(found)} or more" if near.is_cut else str(len(found))
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
