"""What a request may cost, and how it is refused."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from finer1.images import MAX_PIXELS


@dataclass(frozen=True)
class Limits:
    """Bounds of the endpoint."""

    body_bytes: int = 20_000_000
    images: int = 4
    """Of a request."""
    tokens: int = 2048
    """Of a completion."""
    samples: int = 8
    """Completions of a request, or votes."""
    candidates: int = 1000
    text: int = 20_000
    """Characters of all texts of a request."""
    queued: int = 128
    """Requests that wait or are under way."""
    held_pixels: int = 4 * MAX_PIXELS
    """Of all images that wait or are worked on; whoever finds no room waits. 3 bytes each."""
    batch: int = 16
    """Requests generated at once."""
    body_s: float = 20.0
    """In which all of a body must have come."""
    answer_s: float = 120.0
    """After which a request is given up."""
    idle_s: float = 10.0
    """After which a connection on which no request comes is closed; twice that at most."""


class Refused(Exception):
    """A request that gets no answer but a reason; becomes OpenAI's form of an error."""

    def __init__(self, status: int, message: str, kind: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.param = param

    def body(self) -> dict[str, object]:
        """As OpenAI's clients read it."""
        error = {"message": self.message, "type": self.kind, "param": self.param, "code": None}
        return {"error": error}


def bad_request(message: str, param: str | None = None, status: int = 400) -> Refused:
    """The caller's fault."""
    return Refused(status, message, "invalid_request_error", param)


async def read_body(chunks: AsyncIterator[bytes], declared: str | None, limits: Limits) -> bytes:
    """All of a body, counted while it comes.

    declared: its Content-Length. Raises Refused when it is too long or takes too long.
    """
    if declared is not None and declared.isdecimal() and int(declared) > limits.body_bytes:
        raise _too_long(limits)
    content = bytearray()
    try:
        async with asyncio.timeout(limits.body_s):
            async for chunk in chunks:
                content += chunk
                if len(content) > limits.body_bytes:
                    raise _too_long(limits)
    except TimeoutError:
        raise bad_request(f"the body did not come within {limits.body_s:g} s", status=408) from None
    return bytes(content)


def _too_long(limits: Limits) -> Refused:
    return bad_request(f"send at most {limits.body_bytes} bytes", status=413)
