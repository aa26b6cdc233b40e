"""Ask a model: requests from what is asked, completions through the store, rows for the file."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from PIL import Image

from finer1.draws import derive_seed, draw
from finer1.engines.interface import Engine, Request, Sampling
from finer1.engines.pictures import Pictures
from finer1.evaluation.strategies import Asked
from finer1.records import ClassKey, Prediction, Question

if TYPE_CHECKING:
    from finer1.engines.store import GenerationStore


@dataclass(frozen=True)
class Shown:
    """The images that a model is shown, by id."""

    sha256: Mapping[str, str]
    """Of each file, or of whatever else settles the pixels: keys the store."""
    read: Callable[[str], Image.Image]
    """The RGB image; several threads may call it."""


def ask_model(
    name: str,
    engine: Engine,
    asked: Mapping[str, Asked],
    shown: Shown,
    sampling: Sampling,
    store: "GenerationStore",
    seed: int,
) -> list[Prediction]:
    """A row per question, in order, with the first of `sampling.n` completions.

    name: Prediction.model, and the name of the work on the terminal. asked: by question id. seed:
    of the run; a completion that is drawn has a seed of its own by it and the question's id.
    Images are read when the engine takes them.
    """
    requests = _requests(asked, shown, sampling, seed)
    samples = store.generate(engine, requests, sampling, progress=f"predict {name}")
    return [
        Prediction(
            question_id=key,
            model=name,
            identity=engine.identity,
            prompt=item.prompt,
            completion=first.text,
            num_tokens=first.num_tokens,
            finish_reason=first.finish_reason,
            strategy=item.strategy,
            answer_from=item.answer_from,
        )
        for (key, item), (first, *_) in zip(asked.items(), samples, strict=True)
    ]


def add_votes(
    predictions: list[Prediction],
    engine: Engine,
    asked: Mapping[str, Asked],
    shown: Shown,
    sampling: Sampling,
    store: "GenerationStore",
    seed: int,
) -> list[Prediction]:
    """The rows, those of the questions in `asked` with `sampling.n` drawn completions."""
    requests = _requests(asked, shown, sampling, seed)
    name = f"votes {predictions[0].model}" if predictions else "votes"
    samples = store.generate(engine, requests, sampling, progress=name)
    votes = {
        key: tuple(sample.text for sample in group)
        for key, group in zip(asked, samples, strict=True)
    }
    return [replace(row, votes=votes.get(row.question_id, ())) for row in predictions]


def choose_images(
    questions: Iterable[Question], images_per_class: int, seed: int, purpose: str
) -> set[str]:
    """Ids of at most `images_per_class` images per sub-category that the questions ask about.

    Drawn by seed, purpose and image, so that the other images change nothing.
    """
    by_class: dict[ClassKey, set[str]] = defaultdict(set)
    for item in questions:
        dataset = item.image_id.partition("/")[0]
        by_class[dataset, item.category, item.label].add(item.image_id)
    return {
        image
        for images in by_class.values()
        for image in sorted(images, key=lambda image: draw(seed, purpose, image))[:images_per_class]
    }


def _requests(
    asked: Mapping[str, Asked], shown: Shown, sampling: Sampling, seed: int
) -> list[Request]:
    return [
        Request(
            user=item.user,
            images=Pictures(item.images, shown.read),
            image_hashes=tuple(shown.sha256[image] for image in item.images),
            system=item.system,
            seed=derive_seed(seed, key) if sampling.temperature > 0 else 0,
        )
        for key, item in asked.items()
    ]
