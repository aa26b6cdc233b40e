"""What stands before the review page: only the page itself may ask its server anything.

A page of another site, open in the same browser, can send requests to a server of this machine.
They carry its Origin, or the name by which it had the browser find this machine as their Host.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

_HOSTS = ("127.0.0.1", "localhost")
_POLICY = (
    "default-src 'self'; "
    # Gradio makes functions of text that it was built with, and styles of its own.
    "script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; object-src 'none'; "
    "base-uri 'self'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)


class Gate:
    """ASGI middleware that refuses other sites, and tells browsers to load from nowhere else."""

    def __init__(self, app: Application) -> None:
        """app: what is behind the gate."""
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Hand a request on, with headers on its answer; 403 without answer for another site's."""
        if scope["type"] == "lifespan" or _is_own(dict(scope["headers"])):
            await self._app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await send({"type": "http.response.start", "status": 403, "headers": [*_HEADERS]})
            await send({"type": "http.response.body", "body": b"only this page may ask that\n"})


def _is_own(headers: dict[bytes, bytes]) -> bool:
    host = headers.get(b"host", b"").decode("latin-1")
    origin = headers.get(b"origin")
    return host.rpartition(":")[0] in _HOSTS and origin in (None, f"http://{host}".encode())


def _with_headers(send: Send) -> Send:
    async def send_with(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *_HEADERS]
        await send(message)

    return send_with
