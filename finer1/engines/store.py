"""Every generation kept once, whatever stage or experiment asks for it.

A generation is keyed by the engine's identity, prompt, image hashes, sampling and seed, and, where
the engine pads, by the batch that it was made in. The store lies outside stage outputs: a changed
filter or parser, or a run that was killed, generates nothing again.
"""

import fcntl
import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO

from finer1.engines.interface import Engine, Request, Sample, Sampling
from finer1.progress import Progress


def generation_key(request: Request, sampling: Sampling) -> str:
    """Hex SHA-256 of all that shapes a generation besides the engine."""
    if len(request.image_hashes) != len(request.images):
        raise ValueError("a stored request needs the hash of each of its images")
    parts = [request.system, request.user, request.image_hashes, request.seed, asdict(sampling)]
    return _hex_digest(json.dumps(parts, ensure_ascii=False))


class GenerationStore:
    """A folder with one JSON-lines file of generations per engine identity."""

    def __init__(self, root: Path, batch_size: int) -> None:
        self._root = root
        self._batch_size = batch_size

    def generate(
        self, engine: Engine, requests: Sequence[Request], sampling: Sampling, progress: str
    ) -> list[list[Sample]]:
        """`sampling.n` samples for each request, in order; only the missing ones are generated.

        Batches are cut from the whole list before the known ones are taken out. An engine that
        pads makes a batch whole or not at all, and what it makes is known for that batch alone:
        whatever the store holds already, the samples are those of an empty store. `progress`
        names the work on the terminal.
        """
        path = self._root / f"{_hex_digest(engine.identity)[:32]}.jsonl"
        known = _read(path)
        keys = self._keys(engine, requests, sampling)
        bar = Progress(progress, len(requests), "prompts")
        for start in range(0, len(requests), self._batch_size):
            batch = slice(start, start + self._batch_size)
            asked = dict(zip(keys[batch], requests[batch], strict=True))
            missing = [key for key in asked if key not in known]
            if missing:
                made = list(asked) if engine.pads else missing
                samples = engine.generate([asked[key] for key in made], sampling)
                fresh = dict(zip(made, samples, strict=True))
                _append(path, fresh)
                known.update(fresh)
            bar.advance(len(keys[batch]), is_new=bool(missing))
        return [known[key] for key in keys]

    def _keys(self, engine: Engine, requests: Sequence[Request], sampling: Sampling) -> list[str]:
        own = [generation_key(request, sampling) for request in requests]
        if not engine.pads:
            return own
        keys = []
        for start in range(0, len(own), self._batch_size):
            batch = own[start : start + self._batch_size]
            keys += [_hex_digest(key, *batch) for key in batch]
        return keys


def _hex_digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def _read(path: Path) -> dict[str, list[Sample]]:
    if not path.exists():
        return {}
    with _locked(path, fcntl.LOCK_SH) as file:
        content = file.read()
    known = {}
    for number, line in enumerate(content.split(b"\n")[:-1], 1):  # a torn last line is dropped
        try:
            item = json.loads(line)
        except ValueError as error:
            raise ValueError(
                f"{path}:{number}: damaged line; delete the file to generate its content again"
            ) from error
        known[item["key"]] = [Sample(*sample) for sample in item["samples"]]
    return known


def _append(path: Path, generations: dict[str, list[Sample]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps(
            {"key": key, "samples": [list(asdict(sample).values()) for sample in samples]},
            ensure_ascii=False,
        )
        for key, samples in generations.items()
    ]
    with _locked(path, fcntl.LOCK_EX) as file:
        whole = file.read().rfind(b"\n") + 1
        file.truncate(whole)
        file.seek(whole)
        file.write(("\n".join(lines) + "\n").encode())


@contextmanager
def _locked(path: Path, kind: int) -> Iterator[IO[bytes]]:
    path.touch()
    with path.open("r+b") as file:
        fcntl.flock(file, kind)
        yield file
