"""uvicorn's side of a connection, which waits for a request only so long."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


class Connection(H11Protocol):
    """Closes when no request has come: uvicorn waits for a first one, or a slow head, forever.

    A head that comes byte by byte is no request. While one is answered nothing is closed.
    """

    idle_s: float
    """See Limits."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Look after the connection from now on."""
        super().connection_made(transport)
        self.loop.call_later(self.idle_s, self._look, None)

    def _look(self, last: Any) -> None:
        """last: the request that the connection was at when it was last looked at."""
        if self.transport.is_closing():
            return
        is_idle = self.cycle is None or self.cycle.response_complete
        if is_idle and self.cycle is last:
            self.transport.close()
        else:
            self.loop.call_later(self.idle_s, self._look, self.cycle)


def connection(idle_s: float) -> type[Connection]:
    """The protocol for uvicorn, which makes one of each connection itself."""
    return type("Connection", (Connection,), {"idle_s": idle_s})
