"""`finer1 improve`: what was put right on the try-it page, into the next run."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from finer1.own.corrections import Correction, Corrections
    from finer1.own.improvement import Improvement
    from finer1.params import Params


def improve() -> None:
    """Take the images that were put right on the page of `finer1 app` into the next run.

    They become training images of their sub-category in your own dataset.

    Example: finer1 improve
    """
    raise typer.Exit(run_improve(Path.cwd()))


def run_improve(here: Path) -> int:
    """Change the run's own datasets, and say how; the exit code.

    Raises ValueError when there is nothing to take, or no dataset that takes it.
    """
    from finer1.own.corrections import Corrections
    from finer1.params import load_params
    from flows.processes import as_typed
    from flows.workspace import hold

    if not (here / "params.yaml").is_file():
        raise ValueError(f"{here} has no params.yaml; run it in a project folder")
    params = load_params(here / "params.yaml")
    corrections = Corrections(here / params.paths.corrections)
    said = corrections.said()
    if not said:
        page = as_typed("finer1 app", here)
        raise ValueError(f"{corrections.rows} holds no correction; make some on the page of {page}")
    own = [name for name in params.download.datasets if params.download.is_own(name)]
    _tell_others(corrections, own)
    if not own:
        raise ValueError(
            f"the datasets of this run ({', '.join(params.download.datasets)}) take no further "
            "images, since they are drawn or published; make one of your own: finer1 data add "
            "FOLDER --category WORD"
        )
    is_change = False
    with hold(here):
        for name in own:
            is_change |= _improve(name, own, corrections, params, here)
    if is_change:
        print(f"= rows and files changed in {params.paths.own}, as finer1 data add writes them")
        print(f"next: {as_typed('finer1 run', here)}")
    return 0


def _improve(
    name: str, own: Sequence[str], corrections: "Corrections", params: "Params", here: Path
) -> bool:
    """Bring one dataset up to the corrections; whether that changed it. own: all of one's own."""
    from finer1.own.improvement import Surroundings, plan_improvement
    from finer1.own.improvement import improve as carry_out
    from finer1.records import ImageRecord, SplitRecord, read_jsonl
    from flows.values import inspections

    folder = here / params.paths.own / name
    index, splits = here / params.paths.index, here / params.paths.splits
    known = read_jsonl(index, ImageRecord) if index.is_file() else []
    rows = read_jsonl(splits, SplitRecord) if splits.is_file() else []
    around = Surroundings(
        images=[image for image in known if image.dataset not in own],
        folders=[here / params.paths.own / other for other in own if other != name],
        evaluated={row.image.id for row in rows if row.part in ("validation", "test")},
    )
    workers = len(os.sched_getaffinity(0))
    plan = plan_improvement(folder, corrections, around, inspections(here), workers)
    carry_out(folder, corrections, plan)
    for line in _lines(name, plan):
        print(line)
    for line in _unused(name, plan, params, here):
        print(f"note      {line}")
    return plan.is_change


def _lines(name: str, plan: "Improvement") -> Iterator[str]:
    """What was done with one dataset."""
    from finer1.inspection.findings import shown

    for word, items in (("added", plan.added), ("moved", plan.moved)):
        if items:
            yield f"{word:<10}{len(items)} to {name}: {_by_label(items)}"
    if plan.removed:
        labels = Counter(row.label for row in plan.removed)
        yield f"removed   {len(plan.removed)} from {name}, taken back on the page: {_told(labels)}"
    if plan.leaking:
        labels = Counter(row.label for row in plan.leaking)
        yield (
            f"leaking   {len(plan.leaking)} removed from {name}, since models are validated or "
            f"tested on the like, as told below: {_told(labels)}"
        )
    if plan.there:
        yield f"there     {len(plan.there)} in {name} since an earlier call"
    for refused in plan.refused:
        item = refused.correction
        yield f"refused   {item.sha256[:12]} ({shown(item.label)}): {refused.reason}"
    if not (plan.is_change or plan.there or plan.refused):
        yield f"nothing   to take into {name}"


def _unused(name: str, plan: "Improvement", params: "Params", here: Path) -> Iterator[str]:
    """Which of the corrected images the next run will not train on, and why."""
    from finer1.own.corrected_shots import CORRECTED
    from finer1.records import SplitRecord, read_jsonl

    labels = Counter(row.label for row in plan.rows if row.path.startswith(f"{CORRECTED}/"))
    splits = here / params.paths.splits
    rows = read_jsonl(splits, SplitRecord) if splits.is_file() else []
    unseen = {row.image.label for row in rows if row.image.dataset == name and not row.seen}
    shots = params.split.tapo_shots
    for label, count in sorted(labels.items()):
        if label in unseen:
            yield (
                f"{label} is a class that is kept unseen until the evaluation (split.seen_fraction "
                f"{params.split.seen_fraction}): no run trains on its images"
            )
        elif count > shots:
            yield (
                f"{label}: {shots} of {count} corrected images are trained on, as split.tapo_shots "
                "says"
            )


def _tell_others(corrections: "Corrections", own: Sequence[str]) -> None:
    """Corrections of datasets that images cannot be added to."""
    found = Counter(
        item.dataset for item in corrections.standing().values() if item.dataset not in own
    )
    for dataset, count in sorted(found.items()):
        print(f"left      {count} of {dataset}, which is no dataset of your own in this run")


def _by_label(items: "Sequence[Correction]") -> str:
    return _told(Counter(item.label or "" for item in items))


def _told(labels: Counter[str]) -> str:
    from finer1.inspection.findings import shown

    return ", ".join(
        f"{shown(label)}{f' ({count})' if count > 1 else ''}"
        for label, count in sorted(labels.items())
    )
