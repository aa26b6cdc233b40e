"""The teacher as rationales are asked of it: an engine behind the store, and the images it sees."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from finer1.data_params import CotParams
from finer1.engines.interface import Engine, Request, Sample, Sampling
from finer1.engines.store import GenerationStore
from finer1.images import ImageArchive
from finer1.records import Concepts, ImageRecord, read_jsonl
from finer1.teacher.given_concepts import given_concepts
from finer1.teacher.rationales import Case


class StoredTeacher:
    """An engine behind the store, one sample per request, with the seconds it took."""

    def __init__(
        self,
        engine: Engine,
        store: GenerationStore,
        settings: CotParams,
        log: Callable[[Mapping[str, float], int], None],
    ) -> None:
        self._engine = engine
        self._store = store
        self._settings = settings
        self._log = log
        self._calls = 0
        self.seconds = 0.0

    def ask(self, requests: list[Request], temperature: float) -> list[Sample]:
        """A sample for each request.

        How fast the new ones came is logged, since it belongs in no tracked file; nothing where
        the store had all.
        """
        sampling = Sampling(1, temperature, self._settings.top_p, self._settings.max_tokens)
        start, known = time.monotonic(), self.num_made
        tokens = self._store.tokens_made
        self._calls += 1
        groups = self._store.generate(
            self._engine, requests, sampling, progress=f"rationales, call {self._calls}"
        )
        seconds = max(time.monotonic() - start, 1e-9)
        self.seconds += seconds
        if self.num_made > known:
            self._log(
                {
                    "speed/seconds": seconds,
                    "speed/samples_per_s": (self.num_made - known) / seconds,
                    "speed/tokens_per_s": (self._store.tokens_made - tokens) / seconds,
                },
                self._calls,
            )
        return [group[0] for group in groups]

    @property
    def num_made(self) -> int:
        """Samples that were generated, not found in the store."""
        return self._store.num_made


class CaseOpener:
    """Reads the picture of an image, with the concepts to write about."""

    def __init__(
        self, concepts: Path, images: Path, sft: Sequence[ImageRecord], show_concepts: bool
    ) -> None:
        """concepts, images: paths of the rows and of the archives; sft: the images of part sft."""
        self._shows = show_concepts
        self._archive = ImageArchive(images)
        self._path = concepts
        self._given = given_concepts(read_jsonl(concepts, Concepts), sft)

    def open(self, image: ImageRecord) -> Case:
        """The image as a case.

        Raises ValueError where its sub-category has no concepts, OSError when the archive lacks it.
        """
        if not self._shows:
            return Case(image, self._archive.read(image.id), None)
        concepts = self._given(image.id, image.class_key)
        if concepts is None:
            raise ValueError(f"{self._path}: no concepts of {image.id} or its sub-category")
        return Case(image, self._archive.read(image.id), concepts)
