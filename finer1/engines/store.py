"""Every generation kept once, whatever stage or experiment asks for it.

A generation is keyed by the engine's identity, prompt, image hashes, sampling and seed, and, where
the engine pads, by the batch that it was made in. The store lies outside stage outputs: a changed
filter or parser, or a run that was killed, generates nothing again.
"""

import hashlib
import json
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from finer1.engines.generation_file import GenerationFile
from finer1.engines.interface import (
    BatchedEngine,
    Engine,
    Request,
    Sample,
    Sampling,
    StreamingEngine,
)
from finer1.engines.pictures import read_ahead
from finer1.progress import Progress


def generation_key(request: Request, sampling: Sampling) -> str:
    """Hex SHA-256 of all that shapes a generation besides the engine."""
    if len(request.image_hashes) != len(request.images):
        raise ValueError("a stored request needs the hash of each of its images")
    parts = [request.system, request.user, request.image_hashes, request.seed, asdict(sampling)]
    return _hex_digest(json.dumps(parts, ensure_ascii=False))


class GenerationStore:
    """A folder with one file of generations per engine identity."""

    def __init__(self, root: Path, batch_size: int, is_live: bool = False) -> None:
        """batch_size: requests given at once to an engine that does not stream. is_live: as of
        Progress."""
        self._root = root
        self._batch_size = batch_size
        self._is_live = is_live
        self.num_made = 0
        """Samples that were generated, not found in the store."""
        self.tokens_made = 0

    def generate(
        self, engine: Engine, requests: Sequence[Request], sampling: Sampling, progress: str
    ) -> list[list[Sample]]:
        """`sampling.n` samples for each request, in order; only the missing ones are generated.

        An engine that streams has all of them at once, and each answer is kept when it is there.
        Others have batches, cut from the whole list before the known ones are taken out; one with
        shards makes several at once. An engine that pads makes a batch whole or not at all, and
        what it makes is known for that batch alone: whatever the store holds already, the samples
        are those of an empty store.
        `progress` names the work on the terminal.
        """
        file = GenerationFile(self._root / f"{_hex_digest(engine.identity)[:32]}.jsonl")
        bar = Progress(progress, len(requests), "prompts", is_live=self._is_live)
        keys = self._keys(engine, requests, sampling)
        if isinstance(engine, StreamingEngine):
            counts = Counter(keys)
            bar.advance(sum(counts[key] for key in counts if key in file.known), is_new=False)
            for key in _stream(engine, dict(zip(keys, requests, strict=True)), sampling, file):
                num, tokens = self._count([file.known[key]])
                bar.advance(counts[key], num_texts=num, num_tokens=tokens)
        else:
            batches = self._batches(keys, requests, engine.pads, file)
            if known := len(keys) - sum(batch.num_asked for batch in batches):
                bar.advance(known, is_new=False)
            for batch, made in _make(engine, batches, sampling, file):
                num, tokens = self._count(made)
                bar.advance(batch.num_asked, num_texts=num, num_tokens=tokens)
        return [file.known[key] for key in keys]

    def _batches(
        self, keys: list[str], requests: Sequence[Request], pads: bool, file: GenerationFile
    ) -> list["_Batch"]:
        """What is to be made; a batch of which all is known is left out."""
        batches, claimed = [], set(file.known)
        for start in range(0, len(requests), self._batch_size):
            part = slice(start, start + self._batch_size)
            asked = dict(zip(keys[part], requests[part], strict=True))
            missing = {key: item for key, item in asked.items() if key not in claimed}
            if missing:
                batches.append(_Batch(len(keys[part]), asked if pads else missing))
            claimed.update(missing)
        return batches

    def _count(self, made: Iterable[Sequence[Sample]]) -> tuple[int, int]:
        """Take account of what was generated: the number of samples, and of their tokens."""
        lengths = [sample.num_tokens for samples in made for sample in samples]
        self.num_made += len(lengths)
        self.tokens_made += sum(lengths)
        return len(lengths), sum(lengths)

    def _keys(self, engine: Engine, requests: Sequence[Request], sampling: Sampling) -> list[str]:
        own = [generation_key(request, sampling) for request in requests]
        if not engine.pads:
            return own
        keys = []
        for start in range(0, len(own), self._batch_size):
            batch = own[start : start + self._batch_size]
            keys += [_hex_digest(key, *batch) for key in batch]
        return keys


def _stream(
    engine: StreamingEngine, asked: dict[str, Request], sampling: Sampling, file: GenerationFile
) -> Iterator[str]:
    """Generate what is not in the file; the key of each when it is there.

    A thread writes: a disk takes about as long to be sure of an answer as a fast engine to give it.
    Whatever ends the work, answers that have arrived are written.
    """
    missing = [key for key in asked if key not in file.known]
    written: deque[tuple[str, Future[None]]] = deque()
    with (
        ThreadPoolExecutor(1) as writer,
        read_ahead([asked[key] for key in missing]) as requests,
    ):
        for place, samples in engine.stream(requests, sampling):
            key = missing[place]
            written.append((key, writer.submit(file.add, {key: samples})))
            while written and written[0][1].done():
                yield _raise_or_key(*written.popleft())
        while written:
            yield _raise_or_key(*written.popleft())


def _raise_or_key(key: str, write: Future[None]) -> str:
    write.result()
    return key


@dataclass(frozen=True)
class _Batch:
    """Requests that an engine is given at once."""

    num_asked: int
    """Requests that it stands for, with those whose answers are known."""
    requests: dict[str, Request]
    """By key."""


def _make(
    engine: Engine, batches: Sequence[_Batch], sampling: Sampling, file: GenerationFile
) -> Iterator[tuple[_Batch, list[list[Sample]]]]:
    """Generate the batches; each with its samples when they are in the file."""
    asked = [list(batch.requests.values()) for batch in batches]
    made = (
        engine.stream_batches(asked, sampling)
        if isinstance(engine, BatchedEngine)
        else ((place, engine.generate(part, sampling)) for place, part in enumerate(asked))
    )
    for place, samples in made:
        file.add(dict(zip(batches[place].requests, samples, strict=True)))
        yield batches[place], samples


def _hex_digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()
