"""The embedded world's teacher as an engine: no model, templates and the image's metadata."""

from collections.abc import Sequence

from finer1.engines.interface import (
    Engine,
    EngineSettings,
    Request,
    Sample,
    Sampling,
    check_no_model,
)
from finer1.world import teacher
from finer1.world.taxonomy import taxonomy_hash


class OracleEngine:
    """Answers the teacher's three kinds of prompt about images of the embedded world."""

    pads = False

    def __init__(self) -> None:
        self.identity = f"oracle-{teacher.VERSION}-{taxonomy_hash()}"

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[list[Sample]]:
        """`sampling.n` samples for each request, a function of its seed and its content alone."""
        return [
            [_sample(request, number, sampling.max_tokens) for number in range(sampling.n)]
            for request in requests
        ]


def load(settings: EngineSettings) -> Engine:
    """The oracle; raises ValueError when a model is named."""
    check_no_model("oracle", settings)
    return OracleEngine()


def _sample(request: Request, number: int, max_tokens: int) -> Sample:
    text = teacher.respond(request, number)
    words = text.split(" ")
    if len(words) > max_tokens:
        return Sample(" ".join(words[:max_tokens]), max_tokens, "length")
    return Sample(text, len(words), "stop")
