"""`finer1 export`: the trained model, or its rationales, as a folder that others can use."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from finer1.inspection.findings import shown
from tasks.exit_codes import FAILED

if TYPE_CHECKING:
    from finer1.export.pushing import Push

_PLACE = Path("exports")
_TOKEN = "HF_TOKEN"


@dataclass(frozen=True)
class ExportRequest:
    """What is exported, and where to."""

    model: Path | None
    out: Path | None
    lora: Literal["merged", "separate"]
    base: str | None
    """Id of the hub of what the model was made from."""
    image: Path | None
    category: str | None
    repository: str | None
    is_private: bool
    device: Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class RationalesRequest:
    """What of the rationales is exported, and where to."""

    out: Path | None
    images: bool
    licence: str | None
    repository: str | None
    is_private: bool


def export(
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Is made.")] = None,
    model: Annotated[
        Path | None, typer.Option(help="Folder of the model; that of stage 2 in this project.")
    ] = None,
    lora: Annotated[
        Literal["merged", "separate"], typer.Option(help="Adapters in the weights, or alone.")
    ] = "merged",
    base: Annotated[
        str | None,
        typer.Option(metavar="OWNER/NAME", help="On the hub: what it was made from."),
    ] = None,
    image: Annotated[
        Path | None, typer.Option(help="Of the card's example, to be passed on with it.")
    ] = None,
    category: Annotated[str | None, typer.Option(help="What that shows, as in: bird.")] = None,
    rationales: Annotated[
        bool, typer.Option("--rationales", help="The rationales in place of the model.")
    ] = False,
    images: Annotated[
        bool, typer.Option("--images", help="With their images, where these may be passed on.")
    ] = False,
    licence: Annotated[
        str | None, typer.Option("--license", help="Of the rationales' text, as in: cc-by-4.0.")
    ] = None,
    push: Annotated[
        str | None, typer.Option(metavar="OWNER/NAME", help="Then upload it to the hub.")
    ] = None,
    private: Annotated[
        bool, typer.Option("--private/--public", help="A repository that the upload makes.")
    ] = True,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Where it runs.")] = "auto",
) -> None:
    """Write the model as a plain Hugging Face folder with its card, and check that it answers.

    Example: finer1 export --out exports/birds
    """
    if rationales:
        request = RationalesRequest(out, images, licence, push, private)
        run_rationales(request, Path.cwd())
        return
    for name, given in (("--images", images), ("--license", licence)):
        if given:
            raise ValueError(f"{name} goes with --rationales; a model's licence is its base's")
    asked = ExportRequest(model, out, lora, base, image, category, push, private, device)
    run_export(asked, Path.cwd())


def run_export(request: ExportRequest, here: Path) -> None:
    """Write the folder, check it, say so, and upload it where that was asked for.

    Raises ValueError for what cannot be exported. Exits as failed when the folder does not answer
    as the project does.
    """
    from flows.predicting import own_model

    push = _push(request.repository, "model", request.is_private)
    _settle(push)
    from finer1.asking import find_asking
    from finer1.export.folder import Source, check_source, check_target
    from finer1.export.golden import quiet_environment
    from finer1.export.model import write_model
    from finer1.manifest import model_identity
    from flows.model_facts import Shown, model_facts
    from flows.run_facts import read_run

    model = request.model or own_model(here)
    source = Source(model, request.lora)
    out = request.out or _PLACE / f"finer1-{model.resolve().name}"
    check_source(source)
    check_target(out, model)
    asking = find_asking(model)
    weights = model_identity(model)
    run = read_run(here, model, weights)
    name = request.repository.rpartition("/")[2] if request.repository else out.resolve().name
    example = Shown(request.image, request.category, request.device)
    facts, origin = model_facts(name, source, weights, asking, run, request.base, example)
    if push and facts.licence is None:
        raise ValueError(
            "the licence of the base is not known, so that nothing is uploaded; put the base's own "
            "README.md beside its weights"
        )
    by_dataset = (run.by_dataset, run.params) if run else None
    environ = quiet_environment(os.environ, request.device)
    try:
        said = write_model(out, source, facts, asking, by_dataset, origin, environ)
    except RuntimeError as error:
        print(f"finer1: {shown(str(error))}", file=sys.stderr)
        raise typer.Exit(FAILED) from error
    print(f"golden    {facts.example.origin}, in a fresh process: {said}")
    if facts.measured is None:
        print(f"results   none in the card: {facts.unmeasured}")
    _end(out, push)


def run_rationales(request: RationalesRequest, here: Path) -> None:
    """Write the rationales of the run in `here` as a data set.

    Raises ValueError when there are none, when the review would run again, and for images that may
    not be passed on.
    """
    push = _push(request.repository, "dataset", request.is_private)
    _settle(push)
    from finer1.export.folder import check_target, mark_exported
    from finer1.export.rationales import check_images, write_rationales
    from finer1.files import new_folder
    from finer1.images import ImageArchive
    from finer1.manifest import write_manifest
    from flows.rationale_facts import read_rationales
    from tasks.sft import completion

    out = request.out or _PLACE / "finer1-rationales"
    check_target(out)
    name = request.repository.rpartition("/")[2] if request.repository else out.resolve().name
    params, facts = read_rationales(here, name, request.licence)
    if request.images:
        check_images(facts.datasets)
    archive = ImageArchive(params.paths.images)
    with new_folder(out) as part:
        write_rationales(
            part,
            facts,
            lambda row: completion(row, params.sft.target),
            archive.read_bytes if request.images else None,
        )
        mark_exported(part, "rationales", None)
        write_manifest(part)
    print(f"rows      {len(facts.rationales)}, {'with' if request.images else 'without'} images")
    _end(out, push)


def _push(
    repository: str | None, kind: Literal["model", "dataset"], is_private: bool
) -> "Push | None":
    """Where to upload to; refused before any work when it could not be."""
    if repository is None:
        return None
    from finer1.export.pushing import Push, check_repository

    check_repository(repository)
    token = os.environ.get(_TOKEN)
    if not token:
        raise ValueError(
            f"--push needs a token that may write, in {_TOKEN}; nothing was written or uploaded"
        )
    return Push(repository, kind, is_private, token, os.environ.get("HF_ENDPOINT"))


def _settle(push: "Push | None") -> None:
    from tasks.stage import settle_libraries

    settle_libraries(threads=0, is_online=push is not None)


def _end(out: Path, push: "Push | None") -> None:
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    print(f"written   {out}: {size / 1e6:,.1f} MB")
    if push is not None:
        from finer1.export.pushing import push_folder

        print(f"= hf upload {push.repository} {out} --repo-type {push.kind}")
        print(f"uploaded  {push_folder(out, push)}")
