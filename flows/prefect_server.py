"""Prefect's server for this machine alone, which no page of another site can ask.

    python -m flows.prefect_server PORT

`prefect server start` lets every page that is open in a browser of this machine read its API and
start runs (any origin is allowed, and the Host is not looked at), and a run is code.
"""

import os
import sys
from pathlib import Path

from finer1.gate import Gate
from flows.pipeline import settle_prefect

HOST = "127.0.0.1"


def main(port: int) -> None:
    """Serve until the process is ended."""
    settle_prefect(Path.cwd())
    # Both are names of the one server; the page may have been opened by either.
    origins = ",".join(f"http://{name}:{port}" for name in (HOST, "localhost"))
    os.environ["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"] = origins
    os.environ.setdefault("PREFECT_UI_API_URL", f"http://{HOST}:{port}/api")
    # Prefect reads its settings while it is imported.
    import uvicorn
    from prefect.server.api.server import create_app
    from prefect.settings import get_current_settings

    settings = get_current_settings().server
    uvicorn.run(
        Gate(create_app(final=True)),
        host=HOST,
        port=port,
        timeout_keep_alive=settings.api.keepalive_timeout,
        ws_ping_interval=settings.api.websocket_ping_interval,
        ws_ping_timeout=settings.api.websocket_ping_timeout,
        log_level=settings.logging_level.lower(),
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
