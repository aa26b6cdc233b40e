"""The routes of the endpoint, as an ASGI application. There are no others.

GET  /health                  200 while it takes requests
GET  /metrics                 Prometheus
GET  /v1/models               the one model
POST /v1/chat/completions     OpenAI's chat, with images as base64
POST /v1/recognize            an image, or JSON with one; answer, sections, candidates, votes
"""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from finer1.asking import Asking
from finer1.endpoint.counts import Counts
from finer1.endpoint.desk import Desk, FinishReason, late
from finer1.endpoint.limits import Limits, Refused, bad_request, read_body
from finer1.endpoint.messages import (
    ChatRequest,
    RecognizeRequest,
    chat_work,
    check_model,
    check_recognize,
    image_of,
    parse,
)
from finer1.engines.interface import Request as Prompt
from finer1.engines.interface import Sample, Sampling
from finer1.images import decode_image
from finer1.recognition.reading import asked_about, read_recognition

_DECODERS = 2
"""Bodies that are decoded at once: each may hold a picture of MAX_PIXELS."""


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
            Route("/v1/chat/completions", routes.wrapped("chat", routes.chat), methods=["POST"]),
            Route("/v1/recognize", routes.wrapped("recognize", routes.recognize), methods=["POST"]),
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
        self._decoding = asyncio.Semaphore(_DECODERS)
        self._started = int(time.time())

    def wrapped(
        self, route: str, work: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """The route behind the key, its errors as OpenAI's, and counted."""

        async def answer(request: Request) -> Response:
            start, status = time.monotonic(), 500
            try:
                self._check_key(request)
                async with asyncio.timeout(self._limits.answer_s):
                    response = await work(request)
            except TimeoutError:
                response = _refusal(late(self._limits))
            except Refused as refusal:
                response = _refusal(refusal)
            except ClientDisconnect:
                response = Response(status_code=499)
            finally:
                seconds = time.monotonic() - start
            status = response.status_code
            self._counts.note(route, status, seconds)
            return response

        return answer

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

    async def chat(self, request: Request) -> Response:
        """A completion of OpenAI's chat, at once or as it is written."""
        body = await self._body(request)
        chat = await asyncio.to_thread(parse, ChatRequest, body)
        check_model(chat.model, self._served.name)
        asking = self._served.asking
        prompt, sampling = await self._decoded(
            lambda: chat_work(chat, asking.system, self._limits, asking.max_tokens)
        )
        if not chat.stream:
            samples = await self._desk.generate(prompt, sampling)
            samples = samples * (chat.n or 1) if sampling.temperature == 0 else samples
            return JSONResponse(_completion(self._served.name, samples))
        if sampling.temperature > 0 or (chat.n or 1) > 1:
            raise bad_request("stream goes with temperature 0 and n 1", "stream")
        pieces = self._desk.write(prompt, sampling)
        first = await anext(pieces, "")  # what refuses it is said with a status
        return StreamingResponse(
            _events(self._served.name, first, pieces), media_type="text/event-stream"
        )

    async def recognize(self, request: Request) -> Response:
        """What an image shows."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        body = await self._body(request)
        if kind.startswith("image/") or kind == "application/octet-stream":
            asked = _from_query(request)
            image = await self._decoded(lambda: _image(body))
        else:
            asked = await asyncio.to_thread(parse, RecognizeRequest, body)
            image = await self._decoded(lambda: image_of(asked.image))
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
            temperature = asked.temperature or asking.temperature
            voting = Sampling(asked.votes, temperature, asking.top_p, asking.max_tokens)
            drawn = await self._desk.generate(prompt, voting)
        found = read_recognition(greedy.text, way, names, [sample.text for sample in drawn])
        told = {"model": self._served.name, **asdict(found), "tokens": greedy.num_tokens}
        return JSONResponse(told)

    async def _body(self, request: Request) -> bytes:
        declared = request.headers.get("content-length")
        return await read_body(request.stream(), declared, self._limits)

    async def _decoded(self, work: Callable[[], Any]) -> Any:
        """What decodes pictures: beside the event loop, few at once."""
        async with self._decoding:
            return await asyncio.to_thread(work)

    def _check_key(self, request: Request) -> None:
        if self._served.key is None:
            return
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        is_right = secrets.compare_digest(given.encode(), self._served.key.encode())
        if scheme.lower() != "bearer" or not is_right:
            raise Refused(401, "send the key as: Authorization: Bearer KEY", "authentication_error")


def _from_query(request: Request) -> RecognizeRequest:
    """The rest of a request whose body is the image."""
    query = request.query_params
    value: dict[str, object] = {"image": "", "candidates": query.getlist("candidates")}
    value |= {name: query[name] for name in ("category", "model") if name in query}
    if (votes := query.get("votes", "0")).isdecimal() and len(votes) < 4:
        value["votes"] = int(votes)
    else:
        raise bad_request("votes is a number", "votes")
    if "temperature" in query:
        try:
            value["temperature"] = float(query["temperature"])
        except ValueError:
            raise bad_request("temperature is a number", "temperature") from None
    return parse(RecognizeRequest, json.dumps(value).encode())


def _image(body: bytes) -> Any:
    try:
        return decode_image(body, "image")
    except ValueError as error:
        raise bad_request(str(error), "image") from None


def _completion(name: str, samples: list[Sample]) -> dict[str, object]:
    choices = [
        {
            "index": place,
            "message": {"role": "assistant", "content": sample.text},
            "finish_reason": sample.finish_reason,
        }
        for place, sample in enumerate(samples)
    ]
    return {**_about(name, "chat.completion"), "choices": choices}


async def _events(
    name: str, first: str | FinishReason, pieces: AsyncIterator[str | FinishReason]
) -> AsyncIterator[str]:
    """Server-sent events in OpenAI's form; an error on the way is one, too."""
    about = _about(name, "chat.completion.chunk")

    def event(item: str | FinishReason, role: dict[str, str]) -> str:
        reason = item.name if isinstance(item, FinishReason) else None
        delta = role if reason else {**role, "content": item}
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return f"data: {json.dumps({**about, 'choices': [choice]})}\n\n"

    yield event(first, {"role": "assistant"})
    try:
        async for item in pieces:
            yield event(item, {})
    except Refused as refusal:
        yield f"data: {json.dumps(refusal.body())}\n\n"
    yield "data: [DONE]\n\n"


def _about(name: str, kind: str) -> dict[str, object]:
    made = int(time.time())
    return {"id": f"{kind}-{secrets.token_hex(8)}", "object": kind, "created": made, "model": name}


def _refusal(refusal: Refused) -> JSONResponse:
    headers = {"retry-after": "5"} if refusal.status in (429, 503) else None
    return JSONResponse(refusal.body(), refusal.status, headers)


async def _no_such_route(request: Request, error: Exception) -> Response:
    return _refusal(Refused(404, "there is no such route", "not_found"))


async def _no_such_method(request: Request, error: Exception) -> Response:
    return _refusal(Refused(405, "another method is meant", "invalid_request_error"))
