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
from dataclasses import asdict
from pathlib import Path

from finer1.engines.generation_file import GenerationFile
from finer1.engines.interface import Engine, Request, Sample, Sampling, StreamingEngine
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
        Others have batches, cut from the whole list before the known ones are taken out. An engine
        that pads makes a batch whole or not at all, and what it makes is known for that batch
        alone: whatever the store holds already, the samples are those of an empty store.
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
            for start in range(0, len(requests), self._batch_size):
                batch = slice(start, start + self._batch_size)
                asked = dict(zip(keys[batch], requests[batch], strict=True))
                made = _make(engine, asked, sampling, file)
                num, tokens = self._count(made)
                bar.advance(len(keys[batch]), bool(made), num_texts=num, num_tokens=tokens)
        return [file.known[key] for key in keys]

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


def _make(
    engine: Engine, asked: dict[str, Request], sampling: Sampling, file: GenerationFile
) -> list[list[Sample]]:
    """Generate what is not in the file, all of it when the engine pads; what was generated."""
    missing = [key for key in asked if key not in file.known]
    if not missing:
        return []
    made = list(asked) if engine.pads else missing
    samples = engine.generate([asked[key] for key in made], sampling)
    file.add(dict(zip(made, samples, strict=True)))
    return samples


def _hex_digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()
