"""The routes of the endpoint, as an ASGI application. There are no others.

GET  /health                  200 while it takes requests
GET  /metrics                 Prometheus
GET  /v1/models               the one model
POST /v1/chat/completions     OpenAI's chat, with images as base64
POST /v1/recognize            an image, or JSON with one; answer, sections, candidates, votes
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from finer1.asking import Asking
from finer1.endpoint.counts import Counts
from finer1.endpoint.desk import Desk, late
from finer1.endpoint.events import Events, about
from finer1.endpoint.limits import Limits, Refused, bad_request, read_body
from finer1.endpoint.messages import (
    ChatRequest,
    RecognizeRequest,
    chat_work,
    check_model,
    check_recognize,
    image_of,
    parse,
    query_of,
)
from finer1.endpoint.room import Held, Room
from finer1.engines.interface import Request as Prompt
from finer1.engines.interface import Sample, Sampling
from finer1.images import MAX_PIXELS, decode_image
from finer1.recognition.reading import asked_about, read_recognition

Work = Callable[[Request, bytes, Held], Awaitable[Response]]
"""What answers a request: its body, and room for the pixels of its images."""
_GONE = 499
"""Status in the counts of a request whose caller did not wait, as nginx has it."""


@dataclass(frozen=True)
class Served:
    """What the endpoint serves."""

    name: str
    """As clients name the model."""
    asking: Asking
    desk: Desk
    limits: Limits
    key: str | None
    """What a caller must send as bearer token; None asks for none."""


def build_app(served: Served) -> Starlette:
    """The application."""
    routes = _Routes(served)
    plain = {405: _no_such_method, 404: _no_such_route}
    app = Starlette(
        routes=[
            Route("/health", routes.health, methods=["GET"]),
            Route("/metrics", routes.metrics, methods=["GET"]),
            Route("/v1/models", routes.wrapped("models", routes.models), methods=["GET"]),
            Route("/v1/chat/completions", routes.posted("chat", routes.chat), methods=["POST"]),
            Route("/v1/recognize", routes.posted("recognize", routes.recognize), methods=["POST"]),
        ],
        exception_handlers=plain,
    )
    app.router.redirect_slashes = False
    return app


class _Routes:
    def __init__(self, served: Served) -> None:
        self._served = served
        self._desk = served.desk
        self._limits = served.limits
        self._counts = Counts(lambda: served.desk.under_way)
        self._pixels = Room(served.limits.held_pixels)
        self._started = int(time.time())

    def wrapped(
        self, route: str, work: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """The route behind the key, its errors as OpenAI's, and counted."""

        async def answer(request: Request) -> Response:
            start, status = time.monotonic(), 500

            def note() -> None:
                self._counts.note(route, status, time.monotonic() - start)

            response: Response | None = None
            try:
                self._check_key(request)
                async with asyncio.timeout(self._limits.answer_s):
                    response = await work(request)
            except TimeoutError:
                response = _refusal(late(self._limits))
            except Refused as refusal:
                response = _refusal(refusal)
            except ClientDisconnect:
                response = Response(status_code=_GONE)
            finally:
                if response is not None:
                    status = response.status_code
                if isinstance(response, Events):
                    response.ends.callback(note)  # once all is written
                else:
                    note()
            return response

        return answer

    def posted(self, route: str, work: Work) -> Callable[[Request], Awaitable[Response]]:
        """The same of a route with a body; the work ends when its caller goes away."""

        async def answer(request: Request) -> Response:
            declared = request.headers.get("content-length")
            body = await read_body(request.stream(), declared, self._limits)
            return await _unless_gone(request, self._in_room(request, body, work))

        return self.wrapped(route, answer)

    async def _in_room(self, request: Request, body: bytes, work: Work) -> Response:
        """Work once there is room for as many pixels as a request may bring, and with them."""
        async with AsyncExitStack() as stack:
            held = stack.enter_context(await self._pixels.hold(MAX_PIXELS))
            response = await work(request, body, held)
            if isinstance(response, Events):
                response.ends.push_async_exit(stack.pop_all())
        return response

    async def health(self, request: Request) -> Response:
        """Alive."""
        return JSONResponse({"status": "ok", "model": self._served.name})

    async def metrics(self, request: Request) -> Response:
        """Counts since the start."""
        return PlainTextResponse(self._counts.text(), media_type="text/plain; version=0.0.4")

    async def models(self, request: Request) -> Response:
        """The one model, and beyond OpenAI's form its identity and how it is asked."""
        model = {
            "id": self._served.name,
            "object": "model",
            "created": self._started,
            "owned_by": "finer1",
            "identity": self._desk.identity,
            "asking": asdict(self._served.asking),
        }
        return JSONResponse({"object": "list", "data": [model]})

    async def chat(self, request: Request, body: bytes, held: Held) -> Response:
        """A completion of OpenAI's chat, at once or as it is written."""
        chat = await asyncio.to_thread(parse, ChatRequest, body)
        check_model(chat.model, self._served.name)
        asking = self._served.asking
        prompt, sampling = await asyncio.to_thread(
            chat_work, chat, asking.system, self._limits, asking.max_tokens
        )
        held.keep(sum(image.width * image.height for image in prompt.images))
        if not chat.stream:
            samples = await self._desk.generate(prompt, sampling)
            samples = samples * (chat.n or 1) if sampling.temperature == 0 else samples
            return JSONResponse(_completion(self._served.name, samples))
        if sampling.temperature > 0 or (chat.n or 1) > 1:
            raise bad_request("stream goes with temperature 0 and n 1", "stream")
        pieces = self._desk.write(prompt, sampling)
        first = await anext(pieces, "")  # what refuses it is said with a status
        return Events(self._served.name, first, pieces)

    async def recognize(self, request: Request, body: bytes, held: Held) -> Response:
        """What an image shows."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind.startswith("image/") or kind == "application/octet-stream":
            asked = query_of(request.query_params.multi_items())
            image = await asyncio.to_thread(_image, body)
        else:
            asked = await asyncio.to_thread(parse, RecognizeRequest, body)
            image = await asyncio.to_thread(image_of, asked.image)
        held.keep(image.width * image.height)
        check_model(asked.model, self._served.name)
        check_recognize(asked, self._limits)
        asking, names = self._served.asking, tuple(asked.candidates)
        try:
            way = asked_about(asking, names, asked.category)
        except ValueError as error:
            raise bad_request(str(error), "category") from error
        prompt = Prompt(way.user, (image,), system=way.system)
        (greedy,) = await self._desk.generate(prompt, Sampling(1, 0.0, 1.0, asking.max_tokens))
        drawn: list[Sample] = []
        if asked.votes:
            voting = Sampling(asked.votes, asking.temperature, asking.top_p, asking.max_tokens)
            drawn = await self._desk.generate(prompt, voting)
        found = read_recognition(greedy.text, way, names, [sample.text for sample in drawn])
        return JSONResponse({"model": self._served.name, **asdict(found)})

    def _check_key(self, request: Request) -> None:
        if self._served.key is None:
            return
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        is_right = secrets.compare_digest(given.encode(), self._served.key.encode())
        if scheme.lower() != "bearer" or not is_right:
            raise Refused(401, "send the key as: Authorization: Bearer KEY", "authentication_error")


def _image(body: bytes) -> Any:
    try:
        return decode_image(body, "image")
    except ValueError as error:
        raise bad_request(str(error), "image") from None


async def _unless_gone(request: Request, work: Coroutine[Any, Any, Response]) -> Response:
    """What the work gives. Raises ClientDisconnect, and ends it, when the caller goes first."""
    working = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(_disconnect(request))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        working.cancel()
        watching.cancel()
        await asyncio.wait({working, watching})


async def _disconnect(request: Request) -> None:
    """Return when the caller has gone; after its body nothing else comes."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _completion(name: str, samples: list[Sample]) -> dict[str, object]:
    choices = [
        {
            "index": place,
            "message": {"role": "assistant", "content": sample.text},
            "finish_reason": sample.finish_reason,
        }
        for place, sample in enumerate(samples)
    ]
    return {**about(name, "chat.completion"), "choices": choices}


def _refusal(refusal: Refused) -> JSONResponse:
    headers = {"retry-after": "5"} if refusal.status in (429, 503) else None
    return JSONResponse(refusal.body(), refusal.status, headers)


async def _no_such_route(request: Request, error: Exception) -> Response:
    return _refusal(Refused(404, "there is no such route", "not_found"))


async def _no_such_method(request: Request, error: Exception) -> Response:
    return _refusal(Refused(405, "another method is meant", "invalid_request_error"))
