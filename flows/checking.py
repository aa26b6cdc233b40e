"""What `finer1 data check` says about the datasets of params.yaml, and the files that it writes."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flows.adding import counted

if TYPE_CHECKING:
    from finer1.datasets.catalogue import Places
    from finer1.datasets.interface import ListedImage
    from finer1.inspection.audit import Shots
    from finer1.inspection.findings import Finding
    from finer1.inspection.inspecting import Inspected
    from finer1.inspection.near_duplicates import NearPairs
    from finer1.params import Params

_PICTURES = (".png", ".jpg", ".jpeg", ".webp")


def check_targets(json: Path | None, sheet: Path | None) -> None:
    """Raises ValueError for a file that cannot be written, before the images are looked at."""
    for option, path in (("--json", json), ("--sheet", sheet)):
        if path is None:
            continue
        if path.exists() and not path.is_file():
            raise ValueError(f"{option} {path} is there and is no regular file; name another one")
        above = next(folder for folder in path.absolute().parents if folder.exists())
        if not above.is_dir():
            raise ValueError(f"{option} {path}: {above} is no folder; name another file")
    if sheet is not None and sheet.suffix.lower() not in _PICTURES:
        raise ValueError(f"--sheet {sheet}: a picture's name ends with {', '.join(_PICTURES)}")


def check_named(
    params: "Params",
    asked: "Shots | None",
    root: Path | None,
    here: Path,
    cache: Path,
    workers: int,
) -> "tuple[list[Finding], list[NearPairs]]":
    """What a run would refuse or warn of in the datasets of params.yaml; their near-duplicates.

    asked: shots that the user asks of every class; None for those that the split needs.
    """
    from finer1.datasets.catalogue import WORLD, list_dataset, places
    from finer1.inspection.audit import audit
    from finer1.inspection.findings import judged
    from finer1.inspection.inspecting import inspect_images
    from finer1.inspection.near_duplicates import near_duplicates
    from finer1.progress import Progress

    findings: list[Finding] = []
    near: list[NearPairs] = []
    where = places(root, params.paths, here)
    for dataset in params.download.datasets:
        if dataset == WORLD:
            print(f"{dataset}: drawn by the pipeline itself; there are no files to check")
            continue
        try:
            if absent := _absent(dataset, params, where):
                findings.append(absent)
                continue
            listing = list_dataset(dataset, params.download, where)
        except ValueError as error:
            findings += _refused(
                "tables", dataset, error, "correct it; the images were not looked at"
            )
            continue
        for note in listing.notes:
            print(f"{dataset}: {note}")
        progress = Progress(dataset, len(listing.images), "images")
        inspected = list(inspect_images(listing.images, cache, workers, progress))
        print(f"{dataset}: {counted(listing.images)}")
        near.append(near_duplicates(listing.images, inspected))
        shots = asked
        try:
            shots = asked or _needed(dataset, listing.images, inspected, params)
        except ValueError as error:
            findings += _refused("classes", dataset, error, "correct it; shots were not counted")
        found = audit(dataset, listing.images, inspected, near[-1], shots)
        findings += judged(found, params.download)
    return findings, near


def write_sheet(path: Path, near: "Sequence[NearPairs]") -> None:
    """Draw the near-duplicates of all datasets, and say where."""
    from PIL import Image

    from finer1.files import new_file
    from finer1.images import decode_image
    from finer1.inspection.audit import near_duplicate_sheet
    from finer1.inspection.inspecting import stored_bytes

    pairs = [pair for one in near for pair in one.pairs]
    if not pairs:
        print(f"no near-duplicates, so {path} was not written")
        return
    sheet = near_duplicate_sheet(
        pairs, lambda image: decode_image(stored_bytes(image), image.where)
    )
    with new_file(path) as part:
        sheet.save(part, Image.registered_extensions()[path.suffix.lower()])
    count = f"{len(pairs)} near-duplicate pairs" + (
        " or more" if any(n.is_cut for n in near) else ""
    )
    print(f"{count}; a sheet to look at: {path}")


def _absent(dataset: str, params: "Params", where: "Places") -> "Finding | None":
    """An error when the images would have to be fetched first, which a check does not do."""
    from finer1.hub.copies import is_at_hand
    from finer1.inspection.findings import Finding

    official = params.download.official(dataset)
    if official is None or official.source == "folder":
        return None
    get = f"`finer1 data get {dataset}`"
    if official.source == "official":
        if (where.raw / dataset).exists():
            return None
        what = f"it is not in {params.paths.raw}, and a check downloads nothing"
        return Finding("error", "not here", dataset, what, f"get it by {get}")
    if is_at_hand(dataset, official.source.removeprefix("hub:"), where.raw):
        return None
    what = f"the hub copy is not in {params.paths.raw}, and a check downloads nothing"
    remedy = (
        f"`finer1 run` copies it; or get the official files by {get} and set "
        f"download.{dataset}.source to official"
    )
    return Finding("error", "not here", dataset, what, remedy)


def _needed(
    dataset: str,
    images: "Sequence[ListedImage]",
    inspected: "Sequence[Inspected]",
    params: "Params",
) -> "Shots":
    """The shots that the split asks of seen classes. Raises ValueError as choose_seen does."""
    from finer1.inspection.audit import Shots
    from finer1.splits import choose_seen, needed_shots

    pairs = zip(images, inspected, strict=True)
    keys = {(dataset, image.category, image.label) for image, look in pairs if look.error is None}
    seen = choose_seen(keys, params.split, params.seed)
    return Shots(
        needed_shots(
            params.split.sft_shots,
            params.split.tapo_shots,
            params.split.overlap,
            params.split.shared,
        ),
        "lower split.sft_shots and split.tapo_shots, or set split.overlap",
        {(category, label) for _, category, label in seen},
    )


def _refused(kind: str, dataset: str, error: ValueError, remedy: str) -> "Iterator[Finding]":
    from finer1.inspection.findings import Finding

    for line in str(error).split("\n"):
        yield Finding("error", kind, dataset, line, remedy)
