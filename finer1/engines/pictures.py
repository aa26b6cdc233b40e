"""Images of requests that are decoded when an engine takes them.

Tens of thousands of requests would otherwise hold their decoded images all at once, about half a
megabyte each.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import overload

from PIL import Image

from finer1.engines.interface import Request

AHEAD = 64
"""Requests whose images are decoded before the engine takes them."""
READERS = 4
"""Threads that decode; Pillow leaves the interpreter free meanwhile."""


class Pictures(Sequence[Image.Image]):
    """The images of one request, each decoded anew whenever it is taken."""

    def __init__(self, ids: Sequence[str], read: Callable[[str], Image.Image]) -> None:
        """read: the RGB image of an id; several threads may call it at once."""
        self._ids = tuple(ids)
        self._read = read

    def __len__(self) -> int:
        return len(self._ids)

    @overload
    def __getitem__(self, place: int) -> Image.Image: ...
    @overload
    def __getitem__(self, place: slice) -> "Pictures": ...
    def __getitem__(self, place: int | slice) -> "Image.Image | Pictures":
        if isinstance(place, slice):
            return Pictures(self._ids[place], self._read)
        return self._read(self._ids[place])


@contextmanager
def read_ahead(requests: Sequence[Request]) -> Iterator[list[Request]]:
    """The same requests, to be taken in order: while an engine works, the next images are decoded.

    Without, a model in this process would wait for each image between two of its steps.
    """
    with ThreadPoolExecutor(READERS) as pool:
        window = _Window([request.images for request in requests], pool)
        try:
            yield [
                replace(request, images=_Awaited(window, place, len(request.images)))
                if isinstance(request.images, Pictures)
                else request
                for place, request in enumerate(requests)
            ]
        finally:
            pool.shutdown(cancel_futures=True)


class _Window:
    """Images that are being decoded, or are and wait to be taken."""

    def __init__(self, images: Sequence[Sequence[Image.Image]], pool: ThreadPoolExecutor) -> None:
        self._images = images
        self._pool = pool
        self._begun: dict[int, Future[list[Image.Image]]] = {}
        self._next = 0
        self._lock = threading.Lock()

    def take(self, place: int) -> list[Image.Image]:
        with self._lock:
            end = min(place + 1 + AHEAD, len(self._images))
            for other in range(max(self._next, place), end):
                if isinstance(self._images[other], Pictures):
                    self._begun[other] = self._pool.submit(list, self._images[other])
            self._next = max(self._next, end)
            begun = self._begun.pop(place, None)
        # Taken before, or passed over: read again.
        return begun.result() if begun else list(self._images[place])


class _Awaited(Sequence[Image.Image]):
    """The images of one request of a window."""

    def __init__(self, window: _Window, place: int, count: int) -> None:
        self._window = window
        self._place = place
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Image.Image]:
        return iter(self._window.take(self._place))

    @overload
    def __getitem__(self, place: int) -> Image.Image: ...
    @overload
    def __getitem__(self, place: slice) -> list[Image.Image]: ...
    def __getitem__(self, place: int | slice) -> Image.Image | list[Image.Image]:
        return self._window.take(self._place)[place]
