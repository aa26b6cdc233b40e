"""Recognise what one image shows with one of the project's own models, as it is served.

Decoder, prompts, parser and engine are those of the evaluation.
"""

import base64
import binascii
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from finer1.engines.interface import Engine, EngineSettings, Request, Sampling, load_engine
from finer1.evaluation.answers import normalise, same_name
from finer1.evaluation.reading import read_completion
from finer1.evaluation.strategies import Asked, ask
from finer1.evaluation_params import Strategy
from finer1.images import decode_image
from finer1.prompts import question, split_options
from finer1.records import Question

_TEMPLATE = 6
"""Of the ten question templates the one that every category fits."""
_LONGEST = 28_000_000
"""Characters of base64 that are looked at: 20 MB of image."""


@dataclass(frozen=True)
class Asking:
    """How a model is asked, as it was in its training."""

    strategy: Strategy
    system: str
    """Text of the system turn; empty for none."""
    category: str
    """Word for what the image shows, where the caller gives none."""
    max_tokens: int
    """Longest completion."""
    temperature: float
    """Of the completions that vote."""
    top_p: float


@dataclass(frozen=True)
class Recognition:
    """What a model says of one image."""

    answer: str | None
    """The one closed answer; None when the completion has no such thing."""
    candidates: tuple[str, ...]
    """Those given, else the ones that the model weighed."""
    sections: Mapping[str, str]
    """The four sections of the rationale by name; empty when any is missing."""
    votes: Mapping[str, float]
    """Answer -> share of the drawn completions that give it; empty when none was drawn."""
    raw: str
    """The whole completion."""


class Recognizer:
    """A loaded model that answers for one image at a time."""

    def __init__(self, folder: Path, asking: Asking, device: str) -> None:
        """folder: of the weights. device: cpu, cuda or auto."""
        self._engine: Engine = load_engine("transformers", EngineSettings(folder, {}, device))
        self._asking = asking

    def recognize(
        self,
        image: Image.Image,
        candidates: Sequence[str] = (),
        category: str | None = None,
        votes: int = 0,
    ) -> Recognition:
        """The greedy answer, chosen among the candidates where there are any.

        image: RGB. votes: completions to draw beside it; equal calls give equal votes.
        """
        asked = self._ask(candidates, category or self._asking.category)
        raw = self._complete(image, asked, 1, 0.0)[0]
        found = read_completion(raw, asked.answer_from)
        weighed = split_options(found.sections["options"]) if found.sections else ()
        answers = self._complete(image, asked, votes, self._asking.temperature) if votes else []
        return Recognition(
            answer=found.answer,
            candidates=tuple(candidates) or weighed,
            sections=found.sections,
            votes=_shares(
                [read_completion(text, asked.answer_from).answer for text in answers], candidates
            ),
            raw=raw,
        )

    def _ask(self, candidates: Sequence[str], category: str) -> Asked:
        asked = Question(
            id="image",
            image_id="image",
            category=category,
            label="",
            seen=False,
            setting="closed" if candidates else "open",
            text=question(category, _TEMPLATE),
            options=tuple(candidates),
            source="served",
        )
        return ask(asked, self._asking.strategy, self._asking.system)

    def _complete(
        self, image: Image.Image, asked: Asked, count: int, temperature: float
    ) -> list[str]:
        sampling = Sampling(count, temperature, self._asking.top_p, self._asking.max_tokens)
        request = Request(user=asked.user, images=(image,), system=asked.system)
        (samples,) = self._engine.generate([request], sampling)
        return [sample.text for sample in samples]


def decode_base64(text: str) -> Image.Image:
    """The RGB image in base64 text, with or without `data:...;base64,` before it.

    Raises ValueError when it is no such text, or no image that may be shown to a model.
    """
    _, _, after = text.rpartition(";base64,")
    if len(after) > _LONGEST:
        raise ValueError(f"image: {len(after)} characters are too many; send at most {_LONGEST}")
    try:
        content = base64.b64decode(after, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"image: not base64 ({error}); send the file's bytes as base64") from error
    return decode_image(content, "image")


def _shares(answers: Sequence[str | None], candidates: Sequence[str]) -> dict[str, float]:
    """Answer -> its share, the most frequent first; those without an answer under no name."""
    names: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for answer in answers:
        if answer is not None:
            key = normalise(answer)
            names.setdefault(key, same_name(answer, candidates) or answer)
            counts[key] += 1
    return {names[key]: times / len(answers) for key, times in counts.most_common()}
