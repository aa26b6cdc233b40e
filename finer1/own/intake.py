"""What one's own images go through before they are a dataset: a look at each, sides, the audit."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from finer1.data_params import DownloadParams
from finer1.datasets.interface import ListedImage
from finer1.inspection.audit import Shots, audit
from finer1.inspection.findings import Finding
from finer1.inspection.inspecting import Inspected, inspect_images
from finer1.inspection.near_duplicates import NearPairs, near_duplicates
from finer1.own.plan import MIN_CLASSES, Plan, plan_settings
from finer1.own.sources import Source
from finer1.params import Params
from finer1.progress import Progress

_UNREADABLE = "replace the file, or remove it"


@dataclass(frozen=True)
class Wishes:
    """What the user chose for the dataset."""

    name: str
    test_every: int
    """One image in so many of a class is for the test, where the source has no test images."""
    sft_shots: int | None = None
    tapo_shots: int | None = None
    needed: Shots | None = None
    """Training images that classes must have; None for what the plan needs."""


@dataclass(frozen=True)
class Intake:
    """A source that was looked at."""

    images: tuple[ListedImage, ...]
    """With their sides; exact copies inside a class are left out."""
    inspected: tuple[Inspected, ...]
    findings: tuple[Finding, ...]
    near: NearPairs
    plan: Plan | None
    """None when there are too few classes for any."""


def examine(source: Source, wishes: Wishes, params: Params, cache: Path, workers: int) -> Intake:
    """Look at all images of a source, draw the test side, find everything that is wrong."""
    progress = Progress("images", len(source.images), "images") if source.images else None
    inspected = list(inspect_images(source.images, cache, workers, progress))
    images, looked, copies = _without_copies(source.images, inspected)
    images = _with_test_side(images, looked, wishes.test_every)
    findings = [*source.findings, *copies]
    good = [image for image, seen in zip(images, looked, strict=True) if seen.error is None]
    plan = None
    if len({image.label for image in good}) < MIN_CLASSES:
        findings.append(_too_few_classes(good))
    else:
        plan = plan_settings(wishes.name, good, params, (wishes.sft_shots, wishes.tapo_shots))
    near = near_duplicates(images, looked)
    if images:
        needed = wishes.needed or (plan.shots if plan else None)
        findings += audit(wishes.name, images, looked, near, needed, _UNREADABLE)
    return Intake(tuple(images), tuple(looked), tuple(findings), near, plan)


def default_name(source: Path) -> str:
    """A dataset's name after the folder or table that it comes from.

    Raises ValueError when nothing of that can be a name.
    """
    there = source.resolve()
    text = there.stem if there.is_file() else there.name
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:64]
    if not name:
        raise ValueError(f"{text!r} gives no name for the dataset; add --name NAME")
    return f"my_{name}" if name in DownloadParams.model_fields else name


def _without_copies(
    images: Sequence[ListedImage], inspected: Sequence[Inspected]
) -> tuple[list[ListedImage], list[Inspected], list[Finding]]:
    """The images but for exact copies inside one class and side, which SFT and TAPO might share."""
    first: dict[tuple[str, str, str], ListedImage] = {}
    kept: list[ListedImage] = []
    looked: list[Inspected] = []
    copies: list[tuple[ListedImage, ListedImage]] = []
    for image, seen in zip(images, inspected, strict=True):
        key = (image.label, image.official, seen.sha256)
        if seen.error is None and first.setdefault(key, image) is not image:
            copies.append((image, first[key]))
            continue
        kept.append(image)
        looked.append(seen)
    if not copies:
        return kept, looked, []
    copy, original = copies[0]
    what = (
        f"{len(copies)} images are exact copies of others of their class, first of {original.where}"
    )
    remedy = "nothing to do: the copies are left out"
    return kept, looked, [Finding("warning", "duplicate", copy.where, what, remedy)]


def _with_test_side(
    images: Sequence[ListedImage], inspected: Sequence[Inspected], test_every: int
) -> list[ListedImage]:
    """The images as they are if some are for the test, else with a share of each class for it.

    Chosen by content, so that renaming or adding a file moves few others; one at least.
    """
    if any(image.official == "test" for image in images):
        return list(images)
    hashes: dict[str, list[str]] = defaultdict(list)
    for image, seen in zip(images, inspected, strict=True):
        if image.official == "train" and seen.error is None:
            hashes[image.label].append(seen.sha256)
    test = {
        label: set(sorted(members)[: max(1, len(members) // test_every)])
        for label, members in hashes.items()
    }
    return [
        replace(image, official="test")
        if image.official == "train" and seen.sha256 in test.get(image.label, ())
        else image
        for image, seen in zip(images, inspected, strict=True)
    ]


def _too_few_classes(images: Sequence[ListedImage]) -> Finding:
    labels = sorted({image.label for image in images})
    return Finding(
        "error",
        "classes",
        images[0].where if images else "the source",
        f"{len(labels)} classes with readable images ({', '.join(labels) or 'none'}); at least "
        f"{MIN_CLASSES} are needed: two to learn from each other, one that is kept unseen",
        "add folders of other sub-categories",
    )
