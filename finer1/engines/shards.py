"""An engine several times over, in processes of a Ray cluster (runtime.shards).

The unit of work is a batch as one process would make it, so that the samples are the same whoever
makes it. A batch of a worker that is lost is made again by another that takes its place.

Ray is an extra (setup/README.md).
"""

import logging
import os
import socket
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from finer1.engines.interface import (
    EngineSettings,
    Request,
    Sample,
    Sampling,
    Shards,
    load_engine,
)

MAX_LOSSES = 3
"""Workers lost with no batch finished in between after which the work is given up."""
_PATIENCE = {"agent_register_timeout_ms": 120_000, "worker_register_timeout_seconds": 300}
"""Ray's own limits end a cluster that starts on a busy machine."""
_ROOM_PATIENCE_S = 30.0
_READERS = 4
"""Threads that decode the images of a batch."""
_QUEUED = 2
"""Batches with a worker: one that it makes, and one that it need not wait for."""


@dataclass
class _Worker:
    """A process of the cluster with an engine, seen from this one."""

    actor: Any
    number: int
    process: str = ""
    """Where it runs."""
    identity: str = ""
    pads: bool = False


class ShardedEngine:
    """An engine of which each worker has its own; its identity is that of one alone."""

    def __init__(self, name: str, settings: EngineSettings, shards: Shards) -> None:
        """Start the workers, the first of them alone: what it prepares on disk is there for all.

        name, settings: as of load_engine. Raises ValueError when ray or the room is missing, and
        as load_engine.
        """
        self._ray = _import_ray(shards)
        self._name = name
        self._settings = replace(settings, shards=None)
        self._folder = shards.folder
        self._per_worker = _start_cluster(self._ray, settings, shards)
        first = self._start(0)
        self._wait(first)
        rest = [self._start(number) for number in range(1, shards.number)]
        self._workers = [first, *rest]
        for worker in rest:
            self._wait(worker)
        self.identity, self.pads = first.identity, first.pads

    @property
    def processes(self) -> list[str]:
        """Number and host of each worker's process."""
        return [worker.process for worker in self._workers]

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[list[Sample]]:
        """`sampling.n` samples for each request, in order, made as one batch."""
        ((_, samples),) = self.stream_batches([requests], sampling)
        return samples

    def stream_batches(
        self, batches: Sequence[Sequence[Request]], sampling: Sampling
    ) -> Iterator[tuple[int, list[list[Sample]]]]:
        """The place of each batch, once, with its samples, as they are finished.

        Raises RuntimeError when an engine fails, ConnectionError when workers are lost time and
        again.
        """
        waiting, losses = deque(range(len(batches))), 0
        running: dict[Any, tuple[_Worker, int]] = {}
        with ThreadPoolExecutor(_READERS) as readers:
            while waiting or running:
                load = Counter(worker.number for worker, _ in running.values())
                for worker in self._workers * _QUEUED:
                    if waiting and load[worker.number] < _QUEUED:
                        place = waiting.popleft()
                        requests = list(readers.map(_decoded, batches[place]))
                        answer = worker.actor.generate.remote(requests, sampling)
                        running[answer] = worker, place
                        load[worker.number] += 1
                (answer,), _ = self._ray.wait(list(running), num_returns=1)
                worker, place = running.pop(answer)
                try:
                    samples = self._ray.get(answer)
                except self._ray.exceptions.RayActorError:
                    waiting.appendleft(place)
                    losses += self._replace(worker, losses)
                except self._ray.exceptions.RayTaskError as error:
                    raise RuntimeError(f"a worker of runtime.shards failed: {error}") from error
                else:
                    losses = 0
                    yield place, samples

    def _replace(self, lost: _Worker, losses: int) -> bool:
        """Start another in the place of a lost worker; False where that was done already."""
        if self._workers[lost.number] is not lost:
            return False
        logging.getLogger(__name__).warning(
            "worker %d of %d (%s) was lost; what it had begun is made again",
            *(lost.number + 1, len(self._workers), lost.process),
        )
        if losses + 1 >= MAX_LOSSES:
            raise ConnectionError(
                f"{MAX_LOSSES} workers of runtime.shards were lost one after the other; lower "
                "runtime.shards or runtime.batch_size if memory is short"
            )
        kind, number = _taken(self._per_worker)
        try:
            _wait_for_room(self._ray, kind, number)
        except ValueError as error:
            raise ConnectionError(
                f"a worker of runtime.shards was lost ({lost.process}), and the cluster has no "
                f"{number} {kind} free for another; bring its machine back and run again"
            ) from error
        worker = self._start(lost.number)
        self._wait(worker)
        self._workers[lost.number] = worker
        return True

    def _start(self, number: int) -> _Worker:
        actor = self._ray.remote(**self._per_worker, max_restarts=0)(_Loaded).remote(
            self._name, self._settings, self._folder
        )
        return _Worker(actor, number)

    def _wait(self, worker: _Worker) -> None:
        """Until its engine is loaded. What the engine refuses is said as it would say it here."""
        try:
            found = self._ray.get(worker.actor.load.remote())
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, ValueError):
                raise ValueError(str(error.cause)) from error
            raise RuntimeError(f"a worker of runtime.shards did not start: {error}") from error
        except self._ray.exceptions.RayActorError as error:
            raise RuntimeError(f"a worker of runtime.shards did not start: {error}") from error
        worker.process, worker.identity, worker.pads = found


class _Loaded:
    """What a worker's process holds."""

    def __init__(self, name: str, settings: EngineSettings, folder: Path) -> None:
        self._name = name
        self._settings = settings
        self._folder = folder

    def load(self) -> tuple[str, str, bool]:
        """Apart from the making of the object: what that raises Ray passes on as text alone."""
        os.chdir(self._folder)
        self._engine = load_engine(self._name, self._settings)
        process = f"process {os.getpid()} on {socket.gethostname()}"
        return process, self._engine.identity, self._engine.pads

    def generate(self, requests: list[Request], sampling: Sampling) -> list[list[Sample]]:
        return self._engine.generate(requests, sampling)


def _decoded(request: Request) -> Request:
    """With its images, which are read where the archives are."""
    return replace(request, images=tuple(request.images))


def _import_ray(shards: Shards) -> Any:
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise ValueError(
            f"runtime.shards is {shards.number}, which needs the package ray ({error}); "
            "setup/README.md says how to install it, or set it to 1"
        ) from error
    return ray


def _start_cluster(ray: Any, settings: EngineSettings, shards: Shards) -> dict[str, int]:
    """A cluster of this stage's own, on loopback, or the one at the address; what a worker takes.

    Raises ValueError when the workers have no room on it.
    """
    if not ray.is_initialized():
        own = {
            "num_cpus": shards.number,
            "include_dashboard": False,
            "_system_config": _PATIENCE,
        }
        ray.init(
            address=shards.address or "local",
            runtime_env={"env_vars": dict(shards.variables)},
            logging_level=logging.ERROR,
            log_to_driver=False,
            **({} if shards.address else own),
        )
    has = ray.cluster_resources()
    on_gpu = settings.device != "cpu" and has.get("GPU", 0) > 0
    per_worker = {"num_gpus": shards.gpus} if on_gpu else {"num_cpus": 1}
    kind, number = _taken(per_worker)
    room = int(has.get(kind.removesuffix("s").upper(), 0))
    if number * shards.number > room:
        raise ValueError(
            f"runtime.shards is {shards.number}, of {number} {kind} each, and the cluster has "
            f"{room} {kind}; lower it"
        )
    _wait_for_room(ray, kind, number * shards.number)
    return per_worker


def _taken(per_worker: dict[str, int]) -> tuple[str, int]:
    """The kind, in the plural, and the number of what a worker takes."""
    ((key, number),) = per_worker.items()
    return key.removeprefix("num_"), number


def _wait_for_room(ray: Any, kind: str, wanted: int) -> None:
    """Until what an engine before this one held is free, which takes a moment.

    Raises ValueError when it stays in use: workers would wait for ever.
    """
    deadline = time.monotonic() + _ROOM_PATIENCE_S
    while (free := int(ray.available_resources().get(kind.removesuffix("s").upper(), 0))) < wanted:
        if time.monotonic() > deadline:
            raise ValueError(
                f"runtime.shards takes {wanted} {kind} in all, and the cluster has {free} free; "
                "lower it, or end what holds the others"
            )
        time.sleep(0.2)
