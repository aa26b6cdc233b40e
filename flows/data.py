"""`finer1 data`: your own images, what is wrong with any, downloads, the released files."""

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from flows.adding import counted, write
from tasks.exit_codes import BAD_INPUT

if TYPE_CHECKING:
    from finer1.inspection.findings import Finding
    from finer1.own.intake import Intake, Wishes
    from finer1.params import Params

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Bring images in, and say what is wrong with them before any model is loaded.",
)

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
    from finer1.own.dataset import check_name, check_place
    from finer1.own.intake import Wishes, default_name
    from finer1.params import load_params

    here = Path.cwd()
    params = load_params(here / "params.yaml")
    wishes = Wishes(name or default_name(source), test_every, sft_shots, tapo_shots)
    check_name(wishes.name)
    folder = here / params.paths.own / wishes.name
    check_place(folder, replace)
    intake = _examine(source, category, wishes, params, here)
    _tell(intake.findings)
    _end(intake.findings, f"nothing was written; {source} is as it was")
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
    from finer1.inspection.audit import Shots
    from finer1.inspection.findings import shown
    from finer1.own.intake import Wishes
    from finer1.params import load_params
    from flows.checking import check_named, check_targets, write_sheet
    from flows.values import inspections

    check_targets(json, sheet)
    here = Path.cwd()
    params = load_params(here / "params.yaml")
    needed = Shots(shots, "lower --shots") if shots else None
    if source is None:
        findings, near = check_named(params, needed, root, here, inspections(here), _workers())
    else:
        wishes = Wishes(source.resolve().name, test_every, needed=needed)
        intake = _examine(source, category, wishes, params, here)
        findings, near = list(intake.findings), [intake.near]
        print(f"{shown(source)}: {counted(intake.images)}")
    _tell(findings)
    if json:
        write_json(json, [asdict(finding) for finding in findings])
    if sheet:
        write_sheet(sheet, near)
    _end(findings, "nothing was changed")
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


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Is made.")],
    form: Annotated[
        Literal["lmms-eval"], typer.Option(help="Of which harness; a task per set of questions.")
    ] = "lmms-eval",
) -> None:
    """Write the run's questions, images included, as tasks for another harness.

    Example: finer1 data export tasks-for-lmms-eval
    """
    from flows.exporting import export_lmms_eval

    assert form == "lmms-eval"
    export_lmms_eval(Path.cwd(), folder)


def _examine(
    source: Path, category: str, wishes: "Wishes", params: "Params", here: Path
) -> "Intake":
    from finer1.own.intake import examine
    from finer1.own.sources import list_source
    from flows.values import inspections

    found = list_source(source, category)
    return examine(found, wishes, params, inspections(here), _workers())


def _tell(findings: "Sequence[Finding]") -> None:
    from finer1.inspection.findings import describe

    if findings:
        print(describe(findings))


def _end(findings: "Sequence[Finding]", outcome: str) -> None:
    """With an error among the findings, print the outcome, and exit."""
    num_errors = sum(finding.level == "error" for finding in findings)
    if num_errors:
        print(f"{num_errors} error{'s' if num_errors > 1 else ''}; {outcome}")
        raise typer.Exit(BAD_INPUT)


def _workers() -> int:
    return len(os.sched_getaffinity(0))
