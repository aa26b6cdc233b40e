"""The queue in front of an engine: requests wait, are generated together, or are refused.

One thread works with an engine in this process; several with one that asks a server, which batches
by itself. Greedy requests of equal sampling are generated together; what is drawn is generated
alone, so that equal requests give equal samples.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from finer1.endpoint.limits import Limits, Refused, bad_request
from finer1.engines.interface import Engine, Request, Sample, Sampling, WritingEngine
from finer1.serving.protocol import RequestRefused

_LOG = logging.getLogger(__name__)
_CALLERS_FAULT = (400, 413, 422)
"""Statuses by which the server behind refuses what a caller sent, not how this one asks."""


@dataclass(frozen=True)
class FinishReason:
    """Why a completion ended."""

    name: Literal["stop", "length"]


@dataclass(eq=False)
class _Job:
    request: Request
    sampling: Sampling
    deadline: float
    """By time.monotonic."""
    deliver: Callable[[object], None]
    """Called in the worker's thread with a piece (str), samples (list), or an exception, last."""
    is_written: bool = False
    """Piece by piece."""
    gone: threading.Event = field(default_factory=threading.Event)
    """Nobody waits any more."""

    @property
    def is_dead(self) -> bool:
        return self.gone.is_set() or time.monotonic() > self.deadline


class Desk:
    """Takes requests for an engine."""

    def __init__(self, engine: Engine, limits: Limits, workers: int = 1) -> None:
        """workers: threads that call the engine; more than one only where it may be called so."""
        self._engine = engine
        self._limits = limits
        self._batch = limits.batch if workers == 1 else 1
        self._waiting: deque[_Job] = deque()
        self._alone: deque[_Job] = deque()
        """Of a batch that failed: to be generated one by one."""
        self._changed = threading.Condition()
        self._is_open = True
        self.under_way = 0
        """Requests taken and not answered."""
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(workers)]
        for thread in self._threads:
            thread.start()

    @property
    def identity(self) -> str:
        """Names the engine and the content of the weights."""
        return self._engine.identity

    async def generate(self, request: Request, sampling: Sampling) -> list[Sample]:
        """`sampling.n` samples. Raises Refused when there is no room or no time."""
        async with aclosing(self._results(request, sampling, is_written=False)) as results:
            async for found in results:
                if isinstance(found, list):
                    return found
        raise AssertionError("an engine gave nothing")

    async def write(
        self, request: Request, sampling: Sampling
    ) -> AsyncGenerator[str | FinishReason, None]:
        """The greedy completion piece by piece, at last why it ended. Refused as generate."""
        async with aclosing(self._results(request, sampling, is_written=True)) as results:
            async for found in results:
                yield FinishReason(found[0].finish_reason) if isinstance(found, list) else found

    def close(self) -> None:
        """Finish what is under way and take nothing more."""
        with self._changed:
            self._is_open = False
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(self._limits.answer_s)

    async def _results(
        self, request: Request, sampling: Sampling, is_written: bool
    ) -> AsyncGenerator[Any, None]:
        """What the worker delivers, the samples last."""
        loop, came = asyncio.get_running_loop(), asyncio.Queue[object]()
        deadline = time.monotonic() + self._limits.answer_s

        def deliver(item: object) -> None:
            with suppress(RuntimeError):  # the loop of one that is gone may be closed
                loop.call_soon_threadsafe(came.put_nowait, item)

        job = _Job(request, sampling, deadline, deliver, is_written)
        self._take(job)
        try:
            while True:
                left = deadline - time.monotonic()
                try:
                    item = await asyncio.wait_for(came.get(), max(left, 0.0))
                except TimeoutError:
                    raise late(self._limits) from None
                if isinstance(item, BaseException):
                    raise item
                yield item
                if isinstance(item, list):
                    return
        finally:
            job.gone.set()
            with self._changed:
                self.under_way -= 1
                with suppress(ValueError):  # it is not waiting any more
                    self._waiting.remove(job)

    def _take(self, job: _Job) -> None:
        with self._changed:
            if not self._is_open:
                raise Refused(503, "the server is closing", "server_error")
            if self.under_way >= self._limits.queued:
                raise Refused(
                    429, f"{self.under_way} requests are under way; try again later", "overloaded"
                )
            self.under_way += 1
            self._waiting.append(job)
            self._changed.notify()

    def _work(self) -> None:
        while batch := self._next():
            try:
                if batch[0].is_written:
                    self._write(batch[0])
                else:
                    self._generate(batch)
            except Exception as error:  # of an engine: whoever waits must hear of it
                if len(batch) > 1:  # the fault is that of one, perhaps
                    with self._changed:
                        self._alone.extend(batch)
                    continue
                _LOG.exception("a request failed")
                batch[0].deliver(_failure(error))

    def _next(self) -> list[_Job]:
        """The jobs that are generated together next; none when the desk is closed."""
        with self._changed:
            while True:
                if self._alone:
                    return [self._alone.popleft()]
                while self._waiting and self._waiting[0].is_dead:
                    self._waiting.popleft()
                if self._waiting:
                    break
                if not self._is_open:
                    return []
                self._changed.wait()
            first = self._waiting.popleft()
            if first.is_written or first.sampling.temperature > 0:
                return [first]
            batch = [first]
            for job in list(self._waiting):
                if len(batch) == self._batch:
                    break
                if job.sampling == first.sampling and not job.is_written and not job.is_dead:
                    batch.append(job)
                    self._waiting.remove(job)
            return batch

    def _generate(self, batch: list[_Job]) -> None:
        samples = self._engine.generate([job.request for job in batch], batch[0].sampling)
        for job, found in zip(batch, samples, strict=True):
            job.deliver(found)

    def _write(self, job: _Job) -> None:
        if not isinstance(self._engine, WritingEngine):
            ((sample,),) = self._engine.generate([job.request], job.sampling)
            job.deliver(sample.text)
            job.deliver([sample])
            return
        pieces = self._engine.write(job.request, job.sampling)
        while True:
            try:
                job.deliver(next(pieces))
            except StopIteration as end:
                job.deliver([Sample("", 0, end.value)])
                return
            if job.is_dead:
                pieces.close()
                return


def _failure(error: Exception) -> Refused:
    """What the caller hears; the log has the rest."""
    if isinstance(error, RequestRefused) and error.status in _CALLERS_FAULT:
        return bad_request("the model's server refuses this request; a smaller one may do")
    if isinstance(error, ConnectionError | RequestRefused):
        return Refused(502, "the server behind this one does not answer", "server_error")
    return Refused(500, "the model failed on this request; the log says why", "server_error")


def late(limits: Limits) -> Refused:
    """There is no answer in time."""
    return Refused(504, f"no answer within {limits.answer_s:g} s", "timeout")
