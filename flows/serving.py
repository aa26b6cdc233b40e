"""`finer1 serve`: a trained model behind an HTTP endpoint of this machine."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from finer1.endpoint.limits import Limits
    from finer1.engines.interface import Engine
    from finer1.gate import Application

KEY = "FINER1_SERVE_KEY"
"""Environment variable with what callers must send as bearer token."""
VLLM_KEY = "VLLM_KEY"
"""Environment variable with what the vLLM server asks for."""


def serve(
    model: Annotated[
        Path | None, typer.Option(help="Folder of the model; that of stage 2 in this project.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What clients call it; the folder's name.")
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="On 127.0.0.1.")] = 8000,
    vllm: Annotated[
        str | None,
        typer.Option(metavar="URL", help="A vLLM server with this model, up to and with /v1."),
    ] = None,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Where it runs.")] = "auto",
) -> None:
    """Serve a trained model: OpenAI's chat with images, and /v1/recognize.

    With FINER1_SERVE_KEY in the environment callers must send it as bearer token.

    Example: finer1 serve --model models/tapo
    """
    from flows.predicting import own_model
    from tasks.stage import settle_libraries

    settle_libraries(threads=0, is_online=False)
    folder = model or own_model(Path.cwd())
    from finer1.asking import find_asking
    from finer1.endpoint.app import Served, build_app
    from finer1.endpoint.desk import Desk
    from finer1.endpoint.limits import Limits
    from finer1.gate import Gate

    asking, served_as, limits = find_asking(folder), name or folder.name, Limits()
    engine = _start_engine(folder, vllm, device, limits)
    desk = Desk(engine, limits, limits.queued if vllm else 1)
    key = os.environ.get(KEY) or None
    print(f"serving {served_as} at http://127.0.0.1:{port}/v1 (Ctrl-C ends it)")
    print(f"key       {'asked for' if key else f'none; set {KEY} to ask for one'}", flush=True)
    try:
        _run(Gate(build_app(Served(served_as, asking, desk, limits, key))), port, limits)
    finally:
        desk.close()


def _start_engine(folder: Path, vllm: str | None, device: str, limits: "Limits") -> "Engine":
    """Transformers in this process, or the client of a vLLM server."""
    from finer1.engines.interface import EngineSettings, load_engine
    from finer1.model_params import TeacherParams

    if vllm is None:
        return load_engine("transformers", EngineSettings(folder, {}, device))
    server = TeacherParams(
        in_flight=1,  # of each of the desk's workers
        timeout_s=limits.answer_s,
        memory_share=0.9,
        cpu_cache_mib=1,
        tensor_parallel=1,
    )
    key = os.environ.get(VLLM_KEY)
    settings = EngineSettings(None, {}, device, server=vllm, api_key=key, teacher=server)
    return load_engine("openai", settings)


def _run(app: "Application", port: int, limits: "Limits") -> None:
    import uvicorn

    from finer1.endpoint.connections import connection

    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        http=connection(limits.idle_s),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=5,
        limit_concurrency=2 * limits.queued,
        h11_max_incomplete_event_size=64_000,
        lifespan="off",
    )
    uvicorn.Server(config).run()
