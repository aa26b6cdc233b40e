"""OpenAI's protocol over HTTP: calls with retries, messages with images."""

import base64
import io
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx
from PIL import Image

from finer1.chat import as_data
from finer1.engines.interface import Request

ATTEMPTS, FIRST_WAIT_S, LONGEST_WAIT_S = 9, 0.5, 30.0
"""Tries of a request, and the waits between them, which double: 91.5 s in all, as limits on the
requests of a minute ask for."""
TIME_OUTS = 4
"""Tries of a request that may pass in silence: each is as long as the time-out."""
REFUSALS = 6
"""Tries that may find nobody at the address, as of a server that was killed: 15.5 s in all."""
LONGEST_ASKED_WAIT_S = 300.0
"""Longest wait that a server may ask for."""
TIMEOUT_S = 600.0
"""A long queue of a busy server is no failure."""
_CONNECT_S = 10.0
_TOLD = 200
"""Characters of a server's words in a message."""

Result = TypeVar("Result")

_log = logging.getLogger(__name__)


class IncompleteAnswer(ConnectionError):
    """A server answered with less than it was asked for; asking again may help."""


def check_address(address: str | None, who: str, variable: str) -> str:
    """The address of a server.

    Raises ValueError when it is none, saying that `who` needs one in the environment `variable`.
    """
    try:
        is_address = httpx.URL(address or "").scheme in ("http", "https")
    except httpx.InvalidURL:
        is_address = False
    if address is None or not is_address:
        raise ValueError(
            f"{who} needs the address of a server, not {address!r}: set {variable}, such as "
            "http://127.0.0.1:8000/v1"
        )
    return address


def connect(
    address: str, api_key: str | None, may_use_proxy: bool, timeout_s: float = TIMEOUT_S
) -> httpx.Client:
    """A client of the server at `address`; the key, if any, goes as bearer token.

    may_use_proxy: go through the proxy that the environment names, if it names one.
    """
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    return httpx.Client(
        base_url=address.rstrip("/") + "/",
        headers=headers,
        timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_S)),
        limits=httpx.Limits(max_connections=None),  # as_ready bounds them
        trust_env=may_use_proxy,
    )


def as_ready(
    calls: Sequence[Callable[[], Result]], at_once: int, stopping: threading.Event
) -> Iterator[tuple[int, Result]]:
    """The place of each call with what it returns, as they end; `at_once` of them run at a time.

    Raises what the first of them raises that fails, after the results of those that had begun;
    the others never begin. stopping: set meanwhile, so that what has begun does not try again;
    so it is when the caller stops listening.
    """
    failure: BaseException | None = None
    try:
        with ThreadPoolExecutor(at_once) as pool:
            places = {pool.submit(call): place for place, call in enumerate(calls)}
            try:
                for future in as_completed(places):
                    if future.cancelled():
                        continue
                    error = future.exception()
                    if error is None:
                        yield places[future], future.result()
                    elif failure is None:
                        failure = error
                        _stop(places, stopping)  # the waiting ones would fail in turn
            finally:
                _stop(places, stopping)
    finally:
        stopping.clear()  # no call is left; the next ones are free to try
    if failure is not None:
        raise failure


class JsonServer:
    """A server that takes and gives JSON."""

    def __init__(self, client: httpx.Client, stopping: threading.Event) -> None:
        """stopping: while it is set, nothing is tried; setting it ends the waits between tries."""
        self.stopping = stopping
        self._client = client

    def call(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        """The answer's JSON, {} for an empty one; otherwise as `ask`."""
        return self.ask(method, path, body, lambda answer: answer)

    def ask(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None,
        read: Callable[[dict[str, Any]], Result],
    ) -> Result:
        """What `read` makes of the answer's JSON; it may raise IncompleteAnswer.

        Tries again while the server is busy, failing or silent, or its answers are incomplete.
        Each time a warning says why. Raises RequestRefused when the server refuses the request,
        ConnectionError when it stays so or `stopping` is set.
        """
        url = f"{self._client.base_url.copy_with(userinfo=b'')}{path}"
        trouble, time_outs, refusals = "not tried yet", 0, 0
        for attempt in range(1, ATTEMPTS + 1):
            if self.stopping.is_set():
                raise ConnectionError(f"{url} is left alone, for the work has stopped ({trouble})")
            delay = min(FIRST_WAIT_S * 2 ** (attempt - 1), LONGEST_WAIT_S)
            try:
                response = self._client.request(method, path, json=body)
                if response.is_success:
                    return read(_json(response, url))
            except httpx.RequestError as error:
                trouble = self._told(f"{type(error).__name__}: {error}")
                time_outs += isinstance(error, httpx.ReadTimeout | httpx.WriteTimeout)
                refusals += isinstance(error, httpx.ConnectError)
            except IncompleteAnswer as error:
                trouble = self._told(str(error))
            else:
                trouble = f"{response.status_code}: {self._told(response.text)}"
                if not _is_passing(response.status_code):
                    raise RequestRefused(url, response.status_code, trouble)
                delay = _asked_delay(response.headers, delay)
            if attempt == ATTEMPTS or time_outs == TIME_OUTS or refusals == REFUSALS:
                break
            _log.warning("%s: %s; trying again in %.1f s", url, trouble, delay)
            self.stopping.wait(delay)
        raise ConnectionError(f"{url} does not answer after {attempt} tries ({trouble})")

    def _told(self, text: str) -> str:
        """The beginning of it, without the key: some servers repeat it, and errors are logged."""
        key = self._client.headers.get("authorization", "").removeprefix("Bearer ")
        return (text.replace(key, "***") if key else text)[:_TOLD]


class RequestRefused(ValueError):
    """A server will not answer this request, however often it is asked."""

    def __init__(self, url: str, status: int, trouble: str) -> None:
        super().__init__(f"{url} refuses the request with {trouble}")
        self.status = status
        """Of HTTP."""


def messages(request: Request) -> list[dict[str, Any]]:
    """The request as chat messages, its images as data URLs."""
    content: list[dict[str, Any]] = [
        {"type": "image_url", "image_url": {"url": _data_url(image)}} for image in request.images
    ]
    content.append({"type": "text", "text": as_data(request.user)})
    turns: list[dict[str, Any]] = [{"role": "user", "content": content}]
    if request.system:
        turns.insert(0, {"role": "system", "content": request.system})
    return turns


def _stop(futures: Any, stopping: threading.Event) -> None:
    stopping.set()
    for future in futures:
        future.cancel()


def _data_url(image: Image.Image) -> str:
    """PNG, so that the server sees the very pixels that were decoded here."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _is_passing(status: int) -> bool:
    """True for the status of a busy or failing server, as opposed to a wrong request."""
    return status in (408, 409, 425, 429) or status >= 500


def _asked_delay(headers: httpx.Headers, default: float) -> float:
    """Seconds that the server asks to wait, as a number or a date, within our bound."""
    asked = headers.get("retry-after", "")
    try:
        delay = float(asked) if asked[:1].isdigit() else _seconds_until(asked, headers["date"])
    except (ValueError, KeyError, TypeError):
        return default
    return min(delay, LONGEST_ASKED_WAIT_S) if delay >= 0 else default


def _seconds_until(date: str, now: str) -> float:
    """By the server's clock, since ours may be another."""
    return (parsedate_to_datetime(date) - parsedate_to_datetime(now)).total_seconds()


def _json(response: httpx.Response, url: str) -> dict[str, Any]:
    if not response.content:
        return {}
    try:
        answer = response.json()
    except ValueError as error:
        if response.content.lstrip().startswith(b"{"):
            raise IncompleteAnswer("half of an answer in JSON") from error
        answer = None
    if not isinstance(answer, dict):
        raise ConnectionError(f"{url} answers with something other than JSON")
    return answer
