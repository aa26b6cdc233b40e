"""The embedded world's teacher as an engine: no model, templates and the image's metadata."""

from collections.abc import Sequence

from finer1.engines.interface import (
    Engine,
    EngineSettings,
    Request,
    Sample,
    Sampling,
)
from finer1.world import teacher
from finer1.world.taxonomies import load_taxonomy
from finer1.world.taxonomy import Taxonomy


class OracleEngine:
    """Answers the teacher's three kinds of prompt about images of the embedded world."""

    pads = False

    def __init__(self, world: Taxonomy) -> None:
        self.identity = f"oracle-{teacher.VERSION}-{world.hash}"
        self._world = world

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[list[Sample]]:
        """`sampling.n` samples for each request, a function of its seed and its content alone."""
        return [
            [
                _sample(self._world, request, number, sampling.max_tokens)
                for number in range(sampling.n)
            ]
            for request in requests
        ]


def load(settings: EngineSettings) -> Engine:
    """The oracle of the taxonomy behind the colon, of `embedded` without one.

    Raises ValueError for an unknown taxonomy.
    """
    return OracleEngine(load_taxonomy(settings.named_model or "embedded"))


def _sample(world: Taxonomy, request: Request, number: int, max_tokens: int) -> Sample:
    text = teacher.respond(world, request, number)
    words = text.split(" ")
    if len(words) > max_tokens:
        return Sample(" ".join(words[:max_tokens]), max_tokens, "length")
    return Sample(text, len(words), "stop")
