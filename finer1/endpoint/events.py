"""A completion in OpenAI's form, and its events as it is written."""

import json
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from finer1.endpoint.desk import FinishReason
from finer1.endpoint.limits import Refused


class Events(StreamingResponse):
    """A completion as it is written; `ends` is closed after it, however it ends."""

    def __init__(
        self, name: str, first: str | FinishReason, rest: AsyncGenerator[str | FinishReason, None]
    ) -> None:
        super().__init__(_events(name, first, rest), media_type="text/event-stream")
        self.ends = AsyncExitStack()
        self.ends.push_async_exit(aclosing(rest))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self.ends:
            await super().__call__(scope, receive, send)


def about(name: str, kind: str) -> dict[str, object]:
    """What every answer of OpenAI's chat begins with."""
    made = int(time.time())
    return {"id": f"{kind}-{secrets.token_hex(8)}", "object": kind, "created": made, "model": name}


async def _events(
    name: str, first: str | FinishReason, pieces: AsyncIterator[str | FinishReason]
) -> AsyncIterator[str]:
    """Server-sent events in OpenAI's form; an error on the way is one, too."""
    head = about(name, "chat.completion.chunk")

    def event(item: str | FinishReason, role: dict[str, str]) -> str:
        reason = item.name if isinstance(item, FinishReason) else None
        delta = role if reason else {**role, "content": item}
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return f"data: {json.dumps({**head, 'choices': [choice]})}\n\n"

    yield event(first, {"role": "assistant"})
    try:
        async for item in pieces:
            yield event(item, {})
    except Refused as refusal:
        yield f"data: {json.dumps(refusal.body())}\n\n"
    yield "data: [DONE]\n\n"
