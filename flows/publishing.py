"""`finer1 export`: the trained model, or its rationales, as a folder that others can use."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from finer1.inspection.findings import shown
from tasks.exit_codes import FAILED

if TYPE_CHECKING:
    from finer1.export.pushing import Push
    from flows.run_facts import RunFacts

_PLACE = Path("exports")
_TOKEN = "HF_TOKEN"
_PARAMS = "params.yaml"


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
    are_mine: bool
    """Images of no published dataset belong to who exports."""
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
    images_are_mine: Annotated[
        bool, typer.Option("--images-are-mine", help="Images of your own are yours to pass on.")
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
    of_model = {"model": model, "lora": lora != "merged", "base": base, "image": image,
                "category": category, "device": device != "auto"}  # fmt: skip
    of_rationales = {"images": images, "images-are-mine": images_are_mine, "license": licence}
    _check_options(of_model if rationales else of_rationales, rationales)
    if rationales:
        request = RationalesRequest(out, images, images_are_mine, licence, push, private)
        run_rationales(request, Path.cwd())
        return
    asked = ExportRequest(model, out, lora, base, image, category, push, private, device)
    run_export(asked, Path.cwd())


def run_export(request: ExportRequest, here: Path) -> None:
    """Write the folder, check it, say so, and upload it where that was asked for.

    Raises ValueError for what cannot be exported. Exits as failed when the folder does not answer
    as the project does.
    """
    from flows.predicting import own_model

    push = _push(request.repository, "model", request.is_private)
    _check_base(request, here)
    _settle(push)
    from finer1.asking import find_asking
    from finer1.export.folder import Source, adapted_model, check_source
    from finer1.export.golden import quiet_environment
    from finer1.export.licence import read_licence
    from finer1.export.model import write_model
    from finer1.manifest import model_identity
    from flows.model_facts import Shown, licensed_folder, model_facts
    from flows.run_facts import read_run

    model = request.model or own_model(here)
    source = Source(model, request.lora)
    out = (request.out or _PLACE / f"finer1-{model.resolve().name}").resolve()
    check_source(source)
    _check_target(out, here, model, *([] if request.lora == "merged" else [adapted_model(model)]))
    asking = find_asking(model)
    weights = model_identity(model)
    run = read_run(here, model, weights)
    licensed = licensed_folder(source, run)
    if push and read_licence(licensed) is None:
        raise ValueError(
            "the licence of the base is not known, so that nothing is uploaded; put the base's own "
            "README.md beside its weights"
        )
    name = request.repository.rpartition("/")[2] if request.repository else out.name
    example = Shown(request.image, request.category, request.device)
    facts = model_facts(name, source, weights, asking, run, request.base, example)
    if facts.hub_base and not request.base:
        print(f"base      {facts.hub_base}, by the name of its folder; --base names another")
    by_dataset = (run.by_dataset, run.params) if run else None
    environ = quiet_environment(os.environ, request.device)
    try:
        said = write_model(out, source, facts, asking, by_dataset, licensed, environ)
    except RuntimeError as error:
        print(f"finer1: {shown(str(error))}", file=sys.stderr)
        raise typer.Exit(FAILED) from error
    print(f"golden    {facts.example.origin}, in a fresh process: {said}")
    if facts.measured is None:
        print(f"results   none in the card: {facts.unmeasured}{_hint(run)}")
    _end(out, push)


def run_rationales(request: RationalesRequest, here: Path) -> None:
    """Write the rationales of the run in `here` as a data set.

    Raises ValueError when there are none, when the review would run again, and for images that may
    not be passed on.
    """
    push = _push(request.repository, "dataset", request.is_private)
    _settle(push)
    from finer1.export.folder import mark_exported
    from finer1.export.rationales import check_images, write_rationales
    from finer1.files import new_folder
    from finer1.images import ImageArchive
    from finer1.manifest import write_manifest
    from flows.rationale_facts import read_rationales
    from tasks.sft import completion

    out = (request.out or _PLACE / "finer1-rationales").resolve()
    _check_target(out, here)
    name = request.repository.rpartition("/")[2] if request.repository else out.name
    params, facts = read_rationales(here, name, request.licence)
    if request.images:
        check_images(facts.datasets, request.are_mine)
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


def _hint(run: "RunFacts | None") -> str:
    return "; finer1 run score makes them" if run and run.stage else ""


def _check_options(options: Mapping[str, object], are_rationales: bool) -> None:
    """Refuse options of the other kind of export, which would be passed over."""
    hint = "goes with --rationales; a model's licence is its base's"
    if are_rationales:
        hint = "is of a model; leave it out with --rationales"
    for name, given in options.items():
        if given:
            raise ValueError(f"--{name} {hint}")


def _check_base(request: ExportRequest, here: Path) -> None:
    """Refuse what would name a base that the model, or the adapters alone, do not belong to."""
    from finer1.export.pushing import check_repository

    if request.base is not None:
        check_repository(request.base, "--base")
    if request.lora == "merged":
        return
    if request.repository is not None and request.base is None:
        raise ValueError(
            "--push of adapters needs --base OWNER/NAME: upload the model that they belong to, "
            "that of stage 1 (--model models/sft), and name it"
        )
    if request.base is None or not (here / _PARAMS).is_file():
        return
    from finer1.params import load_params
    from flows.model_facts import hub_id

    params = load_params(here / _PARAMS)
    if params.sft.steps != 0 and request.base == hub_id(params.paths.base):
        raise ValueError(
            f"--base {request.base} is what stage 1 started from; the adapters belong to the model "
            "of stage 1: upload that (--model models/sft), and name it"
        )


def _check_target(out: Path, here: Path, *sources: Path) -> None:
    """Refuse a folder that is not to be written, or holds what the project keeps."""
    from finer1.export.folder import check_target
    from finer1.params import load_params

    if out == here.resolve() or out in here.resolve().parents:
        raise ValueError(f"--out {out} is around this folder; name a folder apart from it")
    kept: list[Path] = []
    if (here / _PARAMS).is_file():
        kept = list(load_params(here / _PARAMS).paths.model_dump().values())
    check_target(out, *sources, *(here / path for path in kept))


def _push(
    repository: str | None, kind: Literal["model", "dataset"], is_private: bool
) -> "Push | None":
    """Where to upload to; refused before any work when it could not be."""
    if repository is None:
        return None
    from finer1.export.pushing import Push, check_repository

    check_repository(repository, "--push")
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
        address = push_folder(out, push, lambda seen: print(f"uploading to a {seen} repository"))
        print(f"uploaded  {address}")
