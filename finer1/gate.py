"""What stands before a server of this machine: only pages of its own may ask it anything.

A page of another site, open in the same browser, can send requests to a server of this machine.
They carry its Origin, or the name by which it had the browser find this machine as their Host, or
(pictures, scripts, frames) the browser's word that they come from elsewhere.
"""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

_HOSTS = ("127.0.0.1", "localhost")
_ELSEWHERE = (b"cross-site", b"same-site")
"""Sec-Fetch-Site: another port of this machine is of the same site."""


class Gate:
    """ASGI middleware that refuses other sites, and tells browsers what a page may load."""

    def __init__(self, app: Application, policy: str = "frame-ancestors 'none'") -> None:
        """app: what is behind the gate; policy: Content-Security-Policy of its answers.

        vLLM makes one of the app alone (`--middleware finer1.gate.Gate`).
        """
        self._app = app
        self._headers = (
            (b"content-security-policy", policy.encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
        )

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Hand a request on, with headers on its answer; 403 without answer for another site's."""
        if scope["type"] == "lifespan" or _is_own(scope):
            await self._app(scope, receive, self._with_headers(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await send({"type": "http.response.start", "status": 403, "headers": [*self._headers]})
            await send({"type": "http.response.body", "body": b"only its own page may ask that\n"})

    def _with_headers(self, send: Send) -> Send:
        async def send_with(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *self._headers]
            await send(message)

        return send_with


def _is_own(scope: Message) -> bool:
    """Whether a request comes from a page of the server, from no page, or leads to one."""
    headers: Mapping[bytes, bytes] = dict(scope["headers"])
    host, _, port = headers.get(b"host", b"").decode("latin-1").rpartition(":")
    if host not in _HOSTS:
        return False
    if (origin := headers.get(b"origin")) is not None:
        return origin.decode("latin-1") in {f"http://{name}:{port}" for name in _HOSTS}
    return headers.get(b"sec-fetch-site") not in _ELSEWHERE or _is_followed_link(scope, headers)


def _is_followed_link(scope: Message, headers: Mapping[bytes, bytes]) -> bool:
    """True of a page that the user goes to; of a frame in another page the destination differs."""
    return (
        scope.get("method") == "GET"
        and headers.get(b"sec-fetch-mode") == b"navigate"
        and headers.get(b"sec-fetch-dest") == b"document"
    )
