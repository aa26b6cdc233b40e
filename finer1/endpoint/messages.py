"""Requests and answers of the endpoint: OpenAI's chat with images, and /v1/recognize."""

import json
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from finer1.endpoint.limits import Limits, Refused, bad_request
from finer1.engines.interface import Request, Sampling
from finer1.images import MAX_PIXELS
from finer1.recognition.uploads import decode_base64

Form = TypeVar("Form", bound=BaseModel)

_HARMLESS = {"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"}
"""Keys of OpenAI's protocol that change no answer; with another one a request is refused."""
_PARTS = 16
"""Of a message."""


class _Loose(BaseModel):
    """Takes keys that it does not know, as clients send some of their own."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)


class TextPart(_Loose):
    """A piece of text in a message."""

    type: Literal["text"]
    text: str


class ImageAddress(_Loose):
    """Where the image is: in the address itself."""

    url: str


class ImagePart(_Loose):
    """An image in a message."""

    type: Literal["image_url"]
    image_url: ImageAddress


class Message(_Loose):
    """One turn."""

    role: Literal["system", "user"]
    content: (
        str
        | Annotated[
            list[Annotated[TextPart | ImagePart, Field(discriminator="type")]],
            Field(max_length=_PARTS),
        ]
    )


class ChatRequest(_Loose):
    """The body of /v1/chat/completions."""

    model: str
    messages: Annotated[list[Message], Field(min_length=1, max_length=2)]
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    n: Annotated[int, Field(ge=1)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    stream: bool | None = None


class RecognizeRequest(BaseModel):
    """The body of /v1/recognize."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    image: str
    """Base64, with or without `data:...;base64,` before it."""
    candidates: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=100)]], Field(max_length=1000)
    ] = []
    category: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    votes: Annotated[int, Field(ge=0)] = 0
    model: str | None = None


def parse(form: type[Form], body: bytes) -> Form:
    """The body as a request. Raises Refused with what is wrong, and where."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise bad_request("the body is not JSON") from None
    try:
        return form.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])[:100]
        raise bad_request(f"{place or 'the body'}: {first['msg']}", place or None) from None
    except RecursionError:
        raise bad_request("the body is nested too deeply") from None


def query_of(items: list[tuple[str, str]]) -> RecognizeRequest:
    """The request of an address; its body is the image. Raises Refused as parse."""
    given: dict[str, list[str]] = {}
    for name, text in items:
        given.setdefault(name, []).append(text)
    value: dict[str, object] = {"image": "", "candidates": given.pop("candidates", [])}
    for name, texts in given.items():
        if len(texts) > 1:
            raise bad_request(f"{name[:100]} stands twice in the address", name[:100])
        (value[name],) = texts
    if "image" in given:
        raise bad_request("the image is the body; leave it out of the address", "image")
    if "votes" in given:
        (text,) = given["votes"]
        if text not in map(str, range(1000)):
            raise bad_request("votes is a number", "votes")
        value["votes"] = int(text)
    return parse(RecognizeRequest, json.dumps(value).encode())


def chat_work(
    chat: ChatRequest, system: str, limits: Limits, max_tokens: int
) -> tuple[Request, Sampling]:
    """What the engine is to do. Raises Refused for what it cannot, or what costs too much.

    system: the turn that the model was trained under, where the request has none. max_tokens: of a
    request that does not say.
    """
    for name, value in (chat.model_extra or {}).items():
        if name not in _HARMLESS and value is not None:
            raise bad_request(f"{name[:100]} is not supported; leave it out", name[:100])
    turns = {message.role: message for message in chat.messages}
    if len(turns) < len(chat.messages) or chat.messages[-1].role != "user":
        raise bad_request("send one user message, and before it at most a system one", "messages")
    system = _texts(turns["system"], "") if "system" in turns else system
    user = _texts(turns["user"], "\n")
    addresses = _addresses(turns["user"])
    if any(_addresses(message) for role, message in turns.items() if role != "user"):
        raise bad_request("images belong into the user message", "messages")
    if any("\ud800" <= letter <= "\udfff" for letter in user + system):
        raise bad_request("the text holds half of a character (a lone surrogate)", "messages")
    if "system" in turns and any(mark in system for mark in ("<|", "|>")):
        raise bad_request("the system message holds marks of a chat template", "messages")
    if len(user) + len(system) > limits.text:
        raise bad_request(f"send at most {limits.text} characters of text", "messages")
    if len(addresses) > limits.images:
        raise bad_request(f"send at most {limits.images} images", "messages")
    count = chat.n or 1
    if count > limits.samples:
        raise bad_request(f"n is at most {limits.samples}", "n")
    wanted = chat.max_completion_tokens or chat.max_tokens or max_tokens
    if wanted > limits.tokens:
        raise bad_request(f"max_tokens is at most {limits.tokens}", "max_tokens")
    images: list[Any] = []
    for address in addresses:
        images.append(image_of(address))
        if sum(image.width * image.height for image in images) > MAX_PIXELS:
            raise bad_request(f"send at most {MAX_PIXELS} pixels in all", "messages")
    sampling = Sampling(count, chat.temperature or 0.0, chat.top_p or 1.0, wanted)
    if sampling.temperature == 0:
        sampling = Sampling(1, 0.0, 1.0, wanted)
    return Request(user, tuple(images), system=system, seed=chat.seed or 0), sampling


def image_of(address: str) -> Any:
    """The image in an address or in plain base64; RGB.

    Raises Refused for an address of something elsewhere: nothing is ever fetched.
    """
    if not address.startswith("data:") and ":" in address[:200]:
        raise bad_request(
            "images come as base64 (data:image/png;base64,...); addresses are not fetched", "image"
        )
    try:
        return decode_base64(address)
    except ValueError as error:
        raise bad_request(str(error), "image") from None


def check_recognize(asked: RecognizeRequest, limits: Limits) -> None:
    """Raise Refused for what costs too much."""
    if asked.votes > limits.samples:
        raise bad_request(f"votes is at most {limits.samples}", "votes")
    if len(asked.candidates) > limits.candidates:
        raise bad_request(f"send at most {limits.candidates} candidates", "candidates")
    if sum(map(len, asked.candidates)) > limits.text:
        raise bad_request(f"send at most {limits.text} characters of text", "candidates")
    if len(asked.candidates) == 1 or len(set(asked.candidates)) < len(asked.candidates):
        raise bad_request("send two candidates or more, each once, or none", "candidates")


def check_model(name: str | None, served: str) -> None:
    """Raise Refused when another model is asked for."""
    if name is not None and name != served:
        raise Refused(
            404, f"the model {name[:100]!r} is not served; this is {served}", "not_found", "model"
        )


def _texts(message: Message, between: str) -> str:
    if isinstance(message.content, str):
        return message.content
    return between.join(part.text for part in message.content if isinstance(part, TextPart))


def _addresses(message: Message) -> list[str]:
    if isinstance(message.content, str):
        return []
    return [part.image_url.url for part in message.content if isinstance(part, ImagePart)]
