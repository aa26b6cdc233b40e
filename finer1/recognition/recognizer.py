"""A loaded model that answers for images, one or many, at once or as it writes."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from PIL import Image

from finer1.asking import Asking, find_asking
from finer1.engines.interface import (
    Engine,
    EngineSettings,
    Request,
    Sampling,
    WritingEngine,
    load_engine,
)
from finer1.evaluation.strategies import Asked
from finer1.images import decode_image
from finer1.recognition.reading import Recognition, asked_about, read_recognition
from finer1.recognition.sections import sections_so_far

Picture = Image.Image | Path | str | bytes
"""RGB, a file, or its content."""


class Recognizer:
    """A loaded model."""

    def __init__(self, folder: Path, asking: Asking, device: str) -> None:
        """folder: of the weights. device: cpu, cuda or auto."""
        self._engine: Engine = load_engine("transformers", EngineSettings(folder, {}, device))
        self.asking = asking

    @classmethod
    def load(
        cls, path: Path | str, device: str = "auto", asking: Asking | None = None
    ) -> "Recognizer":
        """The model in a folder, asked as it was in its training.

        path: a folder in a project, or one with finer1.json. Raises ValueError when it is no
        model, and when it is not known how to ask it.
        """
        folder = Path(path)
        if not (folder / "config.json").is_file():
            raise ValueError(f"{folder} is no folder of a model; it has no config.json")
        return cls(folder, asking or find_asking(folder), device)

    @property
    def identity(self) -> str:
        """Names the engine and the content of the weights."""
        return self._engine.identity

    def question(self, candidates: Sequence[str] = (), category: str | None = None) -> str:
        """All of the text that an image is asked with."""
        return asked_about(self.asking, candidates, category).prompt

    def sampling(self, votes: int = 0) -> str:
        """How completions are drawn, in words."""
        asking = self.asking
        drawn = f", {votes} at temperature {asking.temperature:g} and top-p {asking.top_p:g}"
        return f"greedy{drawn if votes else ''}, up to {asking.max_tokens} tokens"

    def predict(
        self,
        image: Picture,
        candidates: Sequence[str] | None = None,
        category: str | None = None,
        votes: int = 0,
    ) -> Recognition:
        """The greedy answer, chosen among the candidates where there are any.

        category: word for what the image shows; needed where the model knows several. votes:
        completions to draw beside it; equal calls give equal votes. Raises ValueError for what is
        no image.
        """
        (found,) = self.predict_many([image], candidates, category, votes)
        return found

    def predict_many(
        self,
        images: Iterable[Picture],
        candidates: Sequence[str] | None = None,
        category: str | None = None,
        votes: int = 0,
        batch_size: int = 8,
    ) -> Iterator[Recognition]:
        """As predict, of each image in turn; `batch_size` at once."""
        names = candidates or ()
        asked = asked_about(self.asking, names, category)
        rest = iter(images)
        while pictures := [_decoded(image) for image in islice(rest, batch_size)]:
            texts = self._complete(pictures, asked, 1, 0.0)
            drawn = self._complete(pictures, asked, votes, self.asking.temperature)
            for (raw,), others in zip(texts, drawn, strict=True):
                yield read_recognition(raw, asked, names, others)

    def stream(
        self,
        image: Picture,
        candidates: Sequence[str] | None = None,
        category: str | None = None,
    ) -> Iterator[Recognition]:
        """What there is of the greedy answer, again and again as it is written.

        Until the last, which is what predict gives, `sections` are those that have begun.
        """
        names = candidates or ()
        asked = asked_about(self.asking, names, category)
        raw = ""
        for piece in self._pieces(_decoded(image), asked):
            raw += piece
            yield Recognition(None, tuple(names), sections_so_far(raw), {}, raw)
        yield read_recognition(raw, asked, names)

    def _complete(
        self, images: Sequence[Image.Image], asked: Asked, count: int, temperature: float
    ) -> list[list[str]]:
        if not count:
            return [[] for _ in images]
        requests = [_request(image, asked) for image in images]
        samples = self._engine.generate(requests, self._sampling(count, temperature))
        return [[sample.text for sample in row] for row in samples]

    def _pieces(self, image: Image.Image, asked: Asked) -> Iterator[str]:
        if isinstance(self._engine, WritingEngine):
            yield from self._engine.write(_request(image, asked), self._sampling(1, 0.0))
        else:
            yield self._complete([image], asked, 1, 0.0)[0][0]

    def _sampling(self, count: int, temperature: float) -> Sampling:
        return Sampling(count, temperature, self.asking.top_p, self.asking.max_tokens)


def _request(image: Image.Image, asked: Asked) -> Request:
    return Request(user=asked.user, images=(image,), system=asked.system)


def _decoded(image: Picture) -> Image.Image:
    """RGB and upright. Raises ValueError naming the file, OSError when it cannot be read."""
    if isinstance(image, Image.Image):
        return image
    if isinstance(image, bytes):
        return decode_image(image, "image")
    return decode_image(Path(image).read_bytes(), str(image))
