"""A Gradio page on this machine alone: nothing is fetched from or sent elsewhere."""

from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from finer1.gate import Gate

HOST = "127.0.0.1"
_POLICY = (
    "default-src 'self'; "
    # Gradio makes functions of text that it was built with, and styles of its own.
    "script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; object-src 'none'; "
    "base-uri 'self'; form-action 'none'; frame-ancestors 'none'"
)
_LAUNCH: dict[str, Any] = {
    "prevent_thread_lock": True,
    "quiet": True,
    "share": False,
    "ssr_mode": False,
    "mcp_server": False,
    "pwa": False,
    "enable_monitoring": False,
    "allowed_paths": [],
    "footer_links": [],
    "show_error": True,
}


def launch(blocks: gr.Blocks, folder: Path, port: int | None, opens_browser: bool) -> str:
    """Start a page in a thread; returns its address.

    folder: has the page's page.css and page.js. port: None takes the first free one from 7860 on.
    Raises OSError when none is free.
    """
    script = (folder / "page.js").read_text(encoding="utf-8")
    try:
        _, address, _ = blocks.launch(
            server_name=HOST,
            server_port=port,
            inbrowser=opens_browser,
            css=(folder / "page.css").read_text(encoding="utf-8"),
            head=f"<script>{script}</script>",
            app_kwargs={"middleware": [Middleware(Gate, policy=_POLICY)]},
            **_LAUNCH,
        )
    except OSError as error:
        taken = "no port from 7860 on is" if port is None else f"port {port} is not"
        raise OSError(f"{taken} free on {HOST}; choose another with --port") from error
    return str(address)


def html(elem_id: str, **more: Any) -> gr.HTML:
    """A place for HTML of ours."""
    return gr.HTML(elem_id=elem_id, js_on_load=None, **more)
