"""`finer1 data`: your own images, what is wrong with any, downloads, the released files."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.adding import counted, write
from tasks.exit_codes import BAD_INPUT

if TYPE_CHECKING:
    from finer1.datasets.interface import ListedImage
    from finer1.inspection.findings import Finding
    from finer1.inspection.inspecting import Inspected
    from finer1.own.intake import Intake, Wishes
    from finer1.params import Params

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Bring images in, and say what is wrong with them before any model is loaded.",
)

_INSPECTIONS = "inspections"

Source = Annotated[
    Path, typer.Argument(metavar="DIR_OR_CSV", help="Class folders, an imagefolder, or a table.")
]
TestEvery = Annotated[
    int, typer.Option(min=2, help="One image in so many is for the test, where none is yet.")
]


@app.command()
def add(
    source: Source,
    category: Annotated[str, typer.Option(help="Word for what all images show, as in: bird.")],
    name: Annotated[str | None, typer.Option(help="Of the dataset; that of the folder.")] = None,
    test_every: TestEvery = 4,
    sft_shots: Annotated[int | None, typer.Option(min=1, help="Per class, for SFT.")] = None,
    tapo_shots: Annotated[int | None, typer.Option(min=1, help="Per class, for TAPO.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="An earlier one of the name.")] = False,
) -> None:
    """Check your images, copy them into a dataset, and set the pipeline to run on it.

    Example: finer1 data add photos/beetles --category beetle
    """
    from finer1.own.dataset import check_name
    from finer1.own.intake import Wishes, default_name
    from finer1.params import load_params

    here = Path.cwd()
    params = load_params(here / "params.yaml")
    wishes = Wishes(name or default_name(source), test_every, sft_shots, tapo_shots)
    check_name(wishes.name)
    folder = here / params.paths.own / wishes.name
    if folder.exists() and not replace:
        raise ValueError(
            f"{folder} exists; add --replace to make it anew, or choose another --name"
        )
    intake = _examine(source, category, wishes, params, here)
    _tell(intake.findings, f"nothing was written; {source} is as it was")
    write(intake, source, folder, replace, here)


@app.command()
def check(
    source: Annotated[
        Path | None,
        typer.Argument(metavar="DIR_OR_CSV", help="None: the datasets of params.yaml."),
    ] = None,
    category: Annotated[str, typer.Option(help="Word for what all images show.")] = "object",
    shots: Annotated[int | None, typer.Option(min=1, help="Each class must have.")] = None,
    test_every: TestEvery = 4,
    root: Annotated[
        Path | None, typer.Option(envvar="FINER1_DATA_ROOT", help="Folder of the datasets.")
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="Write a picture of near-duplicates to this file.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write the findings to this file.")] = None,
) -> None:
    """Say everything that is wrong with images, each with what to do; changes nothing.

    Example: finer1 data check photos/beetles
    """
    from finer1.files import write_json
    from finer1.own.intake import Wishes, default_name
    from finer1.params import load_params

    here = Path.cwd()
    params = load_params(here / "params.yaml")
    if source is None:
        findings, looked = _check_named(params, shots, root, here)
    else:
        wishes = Wishes(default_name(source), test_every, needed_shots=shots)
        intake = _examine(source, category, wishes, params, here)
        findings, looked = list(intake.findings), [(intake.images, intake.inspected)]
        print(f"{source}: {counted(intake.images)}")
    if json:
        write_json(json, [asdict(finding) for finding in findings])
    if sheet:
        _write_sheet(sheet, looked)
    _tell(findings, "nothing was changed")
    print("nothing stands in the way of a run")


@app.command()
def get(
    dataset: Annotated[str, typer.Argument(help="aircraft, bird, car, dog, flower or pet.")],
    given: Annotated[
        Path | None,
        typer.Option("--from", metavar="DIR_OR_ARCHIVE", help="Its archives; else a download."),
    ] = None,
    unlisted: Annotated[
        bool, typer.Option("--unlisted", help="Take given archives of another content, too.")
    ] = False,
) -> None:
    """Get one of the six published datasets from its own site, or from archives that you have.

    Example: finer1 data get flower
    """
    from finer1.downloads.official import obtain
    from finer1.params import load_params
    from flows.processes import as_typed

    here = Path.cwd()
    params = load_params(here / "params.yaml")
    if params.download.official(dataset) is None:
        raise ValueError(f"{dataset} is none of aircraft, bird, car, dog, flower and pet")
    folder = obtain(dataset, here / params.paths.raw, given, allow_unlisted=unlisted)
    run = f"finer1 run -S download.datasets='[{dataset}]' -S download.{dataset}.source=official"
    print(f"{dataset} lies in {folder}\nnext: {as_typed(run, here)}")


@app.command()
def released(
    given: Annotated[
        Path | None, typer.Option("--from", metavar="DIR", help="Has them; else a download.")
    ] = None,
) -> None:
    """Get the question files and rationales that were released with Fine-R1.

    Example: finer1 data released
    """
    from finer1.params import load_params
    from finer1.released.files import absent_files, obtain_released

    here = Path.cwd()
    folder = here / load_params(here / "params.yaml").paths.released
    obtained = obtain_released(folder, given)
    print(f"{len(obtained)} files in {folder}:")
    for path in obtained:
        print(f"  {path.name:<34}{path.stat().st_size:>12,} bytes")
    if absent := absent_files(folder):
        print(f"still absent: {', '.join(absent)}")
    print("""settings that use them (for datasets with the published images):
  split.classes=released       the published seen and unseen classes
  split.sft_images=released    SFT on the images of the rationales
  cot.source=released          the rationales themselves; no teacher is asked
  questions.source=released    the published questions; questions.order=stored keeps their order""")


def _examine(
    source: Path, category: str, wishes: "Wishes", params: "Params", here: Path
) -> "Intake":
    from finer1.own.intake import examine
    from finer1.own.sources import list_source

    found = list_source(source, category)
    return examine(found, wishes, params, _cache(here), _workers())


def _tell(findings: "Sequence[Finding]", outcome: str) -> None:
    """Print all findings; with an error among them, the outcome, and exit."""
    from finer1.inspection.findings import describe

    if findings:
        print(describe(findings))
    num_errors = sum(finding.level == "error" for finding in findings)
    if num_errors:
        print(f"{num_errors} error{'s' if num_errors > 1 else ''}; {outcome}")
        raise typer.Exit(BAD_INPUT)


def _check_named(
    params: "Params", shots: int | None, root: Path | None, here: Path
) -> "tuple[list[Finding], list[tuple[Sequence[ListedImage], Sequence[Inspected]]]]":
    """What is wrong with the datasets of params.yaml, and their images."""
    from finer1.datasets.catalogue import WORLD, list_dataset, places
    from finer1.inspection.audit import audit
    from finer1.inspection.findings import Finding
    from finer1.inspection.inspecting import inspect_images
    from finer1.progress import Progress

    findings: list[Finding] = []
    looked: list[tuple[Sequence[ListedImage], Sequence[Inspected]]] = []
    split = params.split
    both = max if split.overlap else sum
    needed = shots or both((split.sft_shots, split.tapo_shots))
    for dataset in params.download.datasets:
        if dataset == WORLD:
            print(f"{dataset}: drawn by the pipeline itself; there are no files to check")
            continue
        try:
            listing = list_dataset(dataset, params.download, places(root, params.paths, here))
        except ValueError as error:
            remedy = "correct it; the images were not looked at"
            findings += [
                Finding("error", "tables", dataset, x, remedy) for x in str(error).split("\n")
            ]
            continue
        for note in listing.notes:
            print(f"{dataset}: {note}")
        progress = Progress(dataset, len(listing.images), "images")
        inspected = list(inspect_images(listing.images, _cache(here), _workers(), progress))
        print(f"{dataset}: {counted(listing.images)}")
        findings += audit(dataset, listing.images, inspected, needed)
        looked.append((listing.images, inspected))
    return findings, looked


def _write_sheet(
    path: Path, looked: "Iterable[tuple[Sequence[ListedImage], Sequence[Inspected]]]"
) -> None:
    from finer1.images import decode_image
    from finer1.inspection.audit import near_duplicate_sheet
    from finer1.inspection.inspecting import stored_bytes
    from finer1.inspection.near_duplicates import near_duplicates

    pairs = [pair for images, inspected in looked for pair in near_duplicates(images, inspected)]
    if not pairs:
        print(f"no near-duplicates, so {path} was not written")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    near_duplicate_sheet(pairs, lambda image: decode_image(stored_bytes(image), image.where)).save(
        path
    )
    print(f"{len(pairs)} near-duplicate pairs; a sheet to look at: {path}")


def _cache(here: Path) -> Path:
    store = Path(os.environ.get("FINER1_STORE", here / "models/.generations"))
    return store / _INSPECTIONS


def _workers() -> int:
    return len(os.sched_getaffinity(0))
