"""`finer1 app`: the page on which a trained model is tried, a client of `finer1 serve`."""

import getpass
import os
import signal
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from finer1.telemetry import TELEMETRY_OFF

if TYPE_CHECKING:
    from finer1.params import Params
    from finer1.tryout.client import Client
    from finer1.tryout.desk import Model
    from finer1.tryout.setting import Project


@dataclass(frozen=True)
class AppRequest:
    """What the page shows, and where."""

    model: Path | None
    base: Path | None
    url: str | None
    base_url: str | None
    port: int | None
    reviewer: str
    device: Literal["auto", "cpu", "cuda"]
    opens_browser: bool


def try_out(
    model: Annotated[
        Path | None, typer.Option(help="Folder of the model; that of stage 2 in this project.")
    ] = None,
    base: Annotated[
        Path | None, typer.Option(help="Folder of the model beside it; the project's base.")
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="A running finer1 serve, up to and with /v1.")
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(metavar="URL", help="A running one of the model beside it.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="The first free one from 7860 on.")
    ] = None,
    reviewer: Annotated[
        str | None, typer.Option(help="Name in the corrections; that of your account.")
    ] = None,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Where it runs.")] = "auto",
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
) -> None:
    """Try a trained model on a page of this machine, and put right what it gets wrong.

    Example: finer1 app --model models/tapo
    """
    who = reviewer or getpass.getuser()
    open_app(AppRequest(model, base, url, base_url, port, who, device, browser), Path.cwd())


def open_app(request: AppRequest, here: Path) -> None:
    """Serve the page until Ctrl-C.

    Raises ValueError when a model or an address is none, OSError when nothing answers there or no
    port is free.
    """
    from finer1.params import load_params
    from flows.endpoints import endpoints

    # Ended in whatever way, the page takes its uploads and endpoints along.
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.default_int_handler)
    file = here / "params.yaml"
    params = load_params(file) if file.is_file() else None
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(TemporaryDirectory(prefix="finer1-app-")))
        start = stack.enter_context(endpoints(here, scratch, request.device))
        project, main, base = _models(request, params, here, start)
        served = main.client().served
        print(f"model     {served.name}: {served.identity}")
        # Gradio reads these variables while it is imported.
        uploads = {"GRADIO_TEMP_DIR": str(scratch / "uploads"), "HF_HUB_OFFLINE": "1"}
        os.environ.update({**TELEMETRY_OFF, **uploads})
        from finer1.tryout.page import serve

        setting = project.setting(main, base, scratch)
        desk, view = project.desk(request.reviewer), project.view()
        blocks, address = serve(setting, desk, view, request.port, request.opens_browser)
        stack.callback(blocks.close, verbose=False)
        print(f"page      {address} (this machine only; Ctrl-C ends it)", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print()


def _models(
    request: AppRequest, params: "Params | None", here: Path, start: "Callable[[Path], Client]"
) -> "tuple[Project, Model, Model | None]":
    """The project, the model that is tried, and the one beside it."""
    from finer1.tryout.client import Client
    from finer1.tryout.setting import Project
    from flows.predicting import own_model
    from flows.serving import KEY

    project = Project(here, params)

    def model(title: str, url: str | None, folder: Path) -> "Model":
        """Its endpoint is started when it is first asked."""
        there = Client(url, os.environ.get(KEY)) if url else None
        return project.model(title, lambda: there or start(folder))

    folder = request.model or (Path() if request.url else own_model(here))
    main = model("trained model", request.url, folder)
    base = request.base or (params.paths.base if params else None)
    is_there = base is not None and (here / base / "config.json").is_file()
    if request.base is not None and not is_there:
        raise ValueError(f"--base {request.base} is no folder of a model; it has no config.json")
    if request.base_url:
        return project, main, model("base model", request.base_url, Path())
    if base is not None and is_there and base != folder:
        return project, main, model("base model", None, base)
    return project, main, None
