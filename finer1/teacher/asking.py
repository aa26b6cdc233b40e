"""The teacher as rationales are asked of it: an engine behind the store, and the images it sees."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from finer1.data_params import CotParams
from finer1.engines.interface import Engine, Request, Sample, Sampling
from finer1.engines.store import GenerationStore
from finer1.images import ImageArchive
from finer1.records import ClassKey, Concepts, ImageRecord, read_jsonl
from finer1.teacher.rationales import Case
from finer1.teacher.shots import class_key


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
        """A sample for each request; how fast is logged, since it belongs in no tracked file."""
        sampling = Sampling(1, temperature, self._settings.top_p, self._settings.max_tokens)
        start = time.monotonic()
        self._calls += 1
        groups = self._store.generate(
            self._engine, requests, sampling, progress=f"rationales, call {self._calls}"
        )
        seconds = max(time.monotonic() - start, 1e-9)
        self.seconds += seconds
        samples = [group[0] for group in groups]
        self._log(
            {
                "speed/seconds": seconds,
                "speed/samples_per_s": len(samples) / seconds,
                "speed/tokens_per_s": sum(sample.num_tokens for sample in samples) / seconds,
            },
            self._calls,
        )
        return samples


class CaseOpener:
    """Reads the picture of an image, with the concepts to write about.

    An image that the stage `concepts` did not see is written about with the concepts of the first
    image of its sub-category that it did see.
    """

    def __init__(self, concepts: Path, images: Path, sft: Sequence[ImageRecord]) -> None:
        """concepts, images: paths of the rows and of the archives; sft: the images of part sft."""
        self._archive = ImageArchive(images)
        self._of_image = {row.image_id: row.concepts for row in read_jsonl(concepts, Concepts)}
        self._of_class: dict[ClassKey, tuple[str, ...]] = {}
        for image in sft:
            self._of_class.setdefault(class_key(image), self._of_image[image.id])

    def open(self, image: ImageRecord) -> Case:
        """The image as a case. Raises OSError when the archive lacks it."""
        own = self._of_image.get(image.id)
        concepts = self._of_class[class_key(image)] if own is None else own
        return Case(image, self._archive.read(image.id), concepts)
